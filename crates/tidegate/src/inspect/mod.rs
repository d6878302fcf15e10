//! `tidegate inspect`: a proxy in front of any WebSocket server that shows the handshake and every frame, a running
//! gateway followed, or a recording read again.
//!
//! Bytes go through `relay`, events of them or of a gateway to `output`, which shows them in rows or in a `view`, and
//! records them.

mod rows;

mod view;

mod sink;

mod output;

mod request;

mod relay;

mod proxy;

mod attach;

use crate::arguments::Inspect;
use crate::exit::{Exit, Failure};
use crate::recorded;
use output::Output;
use tidegate_inspect::head::Secrets;

/// The admin listener that is looked for where none is named.
const ADMIN_URL: &str = "http://127.0.0.1:8081";

/// Names another.
const ADMIN_VARIABLE: &str = "TIDEGATE_ADMIN_URL";

pub(crate) fn run(arguments: &Inspect) -> Result<Exit, Failure> {
    if arguments.following.attach {
        return attached(arguments.clone());
    }
    let is_live = arguments.target.contains("://");
    let mut output = Output::new(arguments, is_live)?;
    match is_live {
        true => proxy::run(arguments, output),
        false => {
            let read = recorded::read(&arguments.target, secrets(arguments), &mut |event| {
                output.take(&event);
                output.wait();
                !output.is_idle()
            });
            output.end(read.map(|()| Exit::Done))
        }
    }
}

fn attached(mut arguments: Inspect) -> Result<Exit, Failure> {
    if arguments.target.is_empty() {
        arguments.target = std::env::var(ADMIN_VARIABLE).unwrap_or_else(|_| ADMIN_URL.to_owned());
    }
    let mut shown = arguments.clone();
    if arguments.following.connection.is_none() {
        // The gateway knows more of its connections than the events say, and sends only what the filter chooses.
        shown.filter = None;
    }
    attach::run(&arguments, Output::new(&shown, true)?)
}

fn secrets(arguments: &Inspect) -> Secrets {
    if arguments.show_secrets { Secrets::Show } else { Secrets::Hide }
}
