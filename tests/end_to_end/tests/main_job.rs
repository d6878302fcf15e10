//! What Tidegate is for: an unmodified file server behind `tidegate serve URL`, files that change, and a crowd
//! that sees each polled state once, in order, at the price of one request a path and second.

use tidegate_end_to_end::crowd::Job;
use tidegate_end_to_end::file_server::FileServer;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_test_tools::{find::program, skip};

#[test]
fn every_client_sees_every_polled_state_in_order_for_one_request_a_second() {
    let Some(python) = program("python3") else { return skip("python3 is not installed") };
    let files = FileServer::start(&python);
    let gateway = Gateway::before(files.url(), &[]);
    let job = Job { sockets: 200, streams: 20, paths: 10, states: 20 };
    let figures = job.run(&gateway, &files);
    println!("{figures}");
    let violations = figures.violations();
    assert!(violations.is_empty(), "{violations:#?}\n{figures}");
    assert_eq!(figures.clients, 220);
    assert_eq!(figures.seen_most, 21, "each state of the first path was waited for");
    assert_eq!(figures.asked.len(), 10, "nothing but the ten paths was asked for");
}
