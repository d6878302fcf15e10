//! A disk that is full: publishing is refused and says why, nobody else notices, and it goes on when there is room.
//! The disk is a file system in memory, which only root may mount.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use rustix::process::Signal;
use tidegate_end_to_end::backend::Backend;
use tidegate_end_to_end::deadline::Deadline;
use tidegate_end_to_end::document::Document;
use tidegate_end_to_end::gateway::Gateway;
use tidegate_end_to_end::http::{Answer, Request};
use tidegate_end_to_end::websocket::WebSocket;
use tidegate_test_tools::skip;

/// A small disk; unmounted when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(folder: &Path) -> Option<Self> {
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(folder).output();
        mounted.is_ok_and(|output| output.status.success()).then(|| Self(folder.to_owned()))
    }

    /// Takes all the room that there is.
    fn fill(&self) {
        let mut file = File::create(self.0.join("filler")).expect("a file");
        while file.write_all(&[1; 4096]).is_ok() {}
    }

    fn empty(&self) {
        std::fs::remove_file(self.0.join("filler")).expect("a file to remove");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // A gateway that is being killed may still hold it: then it goes when that has gone.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

fn publish(gateway: &Gateway, channel: &str, text: &str) -> Answer {
    gateway
        .ask_admin(Request::post(&format!("/channels/{channel}"), text).header("Content-Type", "text/plain"))
}

fn text_of(number: usize) -> String {
    format!("{number} {}", "x".repeat(2000))
}

#[test]
fn a_full_disk_refuses_publishing_and_nothing_else() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = SmallDisk::mount(folder.path()) else {
        return skip("no tmpfs can be mounted: only root may");
    };
    let document = Document::new("1");
    let served = document.clone();
    let backend = Backend::start(move |asked| served.reply(asked));
    let configuration = format!(
        "[engine]\nembedded = {{ path = {:?} }}\n\
         [[route]]\npath = \"/polled\"\npoll = {{ url = \"{}/d\", interval = \"100ms\" }}\n\
         [[route]]\npath = \"/{{*rest}}\"\nchannel = {{}}\npublish = \"anyone\"\nhistory = {{ size = 10000, ttl = \"1h\" }}\n",
        folder.path().join("store"),
        backend.url()
    );
    let gateway = Gateway::configured(&configuration);
    let mut follower = WebSocket::enveloped(gateway.public(), "/a");
    follower.envelope("open");
    let mut bare = WebSocket::open(gateway.public(), "/c");
    let mut polled = WebSocket::open(gateway.public(), "/polled");
    assert_eq!(polled.text(), "1");
    let first = publish(&gateway, "a", &text_of(0));
    assert_eq!(first.status, 201);
    let first = first.json()["position"].as_str().expect("a position").to_owned();

    disk.fill();
    let mut acknowledged = 1;
    let refused = loop {
        let answer = publish(&gateway, "a", &text_of(acknowledged));
        match answer.status {
            201 => acknowledged += 1,
            _ => break answer,
        }
        assert!(acknowledged < 10_000, "the disk is not full");
    };
    assert_eq!(refused.status, 503, "{}", refused.text());
    assert!(refused.text().contains("No space left on device"), "{}", refused.text());
    assert!(refused.headers.get("retry-after").is_some());
    // Every channel is on that disk, and what comes from elsewhere is not.
    assert_eq!(publish(&gateway, "b", "1").status, 503);
    // A bare client can be told in no other way that what it said is lost.
    bare.send("lost");
    let (code, reason) = bare.closed();
    assert!(code == 1013 && reason.contains("No space left on device"), "{code} {reason}");
    let ready = Request::get("/ready").send(gateway.admin());
    assert_eq!((ready.status, ready.json()["store"].as_str()), (200, Some("the disk takes nothing")));
    assert_eq!(gateway.ask_admin(Request::new("DELETE", "/channels/a")).status, 503);
    document.set("2");
    assert_eq!(polled.text(), "2");
    for number in 0..acknowledged {
        assert_eq!(follower.envelope("message")["text"], text_of(number).as_str());
    }
    let mut late = WebSocket::enveloped(gateway.public(), &format!("/a?after={first}"));
    assert_eq!(late.envelope("open")["recovered"], true, "what was acknowledged stays");
    assert!((gateway.metric("tidegate_store_broken") - 1.0).abs() < f64::EPSILON);
    assert!(gateway.metric("tidegate_store_refused_total") >= 2.0);
    gateway.log().wait("a line about it", |line| {
        (line.contains("the store cannot write") && line.contains("No space left")).then_some(())
    });

    disk.empty();
    let deadline = Deadline::of_patience();
    let next = loop {
        let answer = publish(&gateway, "a", "after");
        if answer.status == 201 {
            break answer.json();
        }
        assert!(deadline.left().is_some(), "it does not go on: {}", answer.text());
    };
    let expected = first.replace(":1", &format!(":{}", acknowledged + 1));
    assert_eq!(next["position"], expected.as_str(), "no offset was used up by what was refused");
    assert_eq!(follower.envelope("message")["text"], "after");
    assert!((gateway.metric("tidegate_store_failures_total") - 1.0).abs() < f64::EPSILON);
    gateway.wait_metric("tidegate_store_broken", 0.0);
    assert!(Request::get("/ready").send(gateway.admin()).json().get("store").is_none());

    gateway.signal(Signal::KILL);
    gateway.ended();
    let gateway = Gateway::configured(&configuration);
    check_history(&gateway, acknowledged, &first.replace(":1", ":0"));
}

#[test]
fn a_412_names_no_position_that_comes_to_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let Some(disk) = SmallDisk::mount(folder.path()) else {
        return skip("no tmpfs can be mounted: only root may");
    };
    let gateway = Gateway::configured(&format!(
        "[engine]\nembedded = {{ path = {:?} }}\n[[route]]\npath = \"/{{*rest}}\"\nchannel = {{}}\n",
        folder.path().join("store"),
    ));
    let mut newest = gateway.publish("a", "1");
    disk.fill();
    let text = text_of(1);
    let compete = |newest: &str| {
        let request = Request::post("/channels/a", text.as_str()).header("Content-Type", "text/plain");
        let ask = || gateway.ask_admin(request.clone().header("If-Match", newest));
        thread::scope(|scope| {
            let publishers: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
            publishers.into_iter().map(|one| one.join().expect("an answer")).collect::<Vec<_>>()
        })
    };
    for _ in 0..10_000 {
        let answers = compete(&newest);
        let position = |answer: &Answer| answer.json()["position"].as_str().map(str::to_owned);
        let kept: Vec<_> = answers.iter().filter(|answer| matches!(answer.status, 201 | 202)).collect();
        for answer in answers.iter().filter(|answer| answer.status == 412) {
            let kept = kept.first().and_then(|kept| position(kept));
            assert_eq!(position(answer), kept, "one who has published stands there");
        }
        match kept.as_slice() {
            [] => return assert!(answers.iter().all(|answer| answer.status == 503), "{}", answers[0].text()),
            [kept] => newest = position(kept).expect("a position"),
            _ => panic!("two were published after one position"),
        }
    }
    panic!("the disk is not full");
}

/// All that was acknowledged is there, once, and nothing that was refused.
fn check_history(gateway: &Gateway, acknowledged: usize, first: &str) {
    let mut texts: Vec<String> = Vec::new();
    let mut after = first.to_owned();
    loop {
        let page = gateway.ask_admin(Request::get(&format!("/channels/a?limit=1000&after={after}"))).json();
        assert_eq!(page["recovered"], true, "{}", page["position"]);
        let publications = page["publications"].as_array().expect("a list");
        let Some(last) = publications.last() else { break };
        texts.extend(publications.iter().map(|one| one["text"].as_str().expect("a text").to_owned()));
        after = last["position"].as_str().expect("a position").to_owned();
    }
    let expected: Vec<String> = (0..acknowledged).map(text_of).chain(["after".to_owned()]).collect();
    assert_eq!(texts.len(), expected.len());
    assert!(texts == expected, "another text, or another order");
    assert_eq!(gateway.ask_admin(Request::get("/channels/b")).status, 404);
}
