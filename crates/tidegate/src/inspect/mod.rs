//! `tidegate inspect`: a proxy in front of any WebSocket server that shows the handshake and every frame, or a
//! recording read again.
//!
//! Bytes go through `relay`, events of them to `output`, which shows and records them.

mod rows;

mod sink;

mod output;

mod request;

mod relay;

mod proxy;

use crate::arguments::Inspect;
use crate::exit::{Exit, Failure};
use crate::recorded;
use output::Output;
use tidegate_inspect::head::Secrets;

pub(crate) fn run(arguments: &Inspect) -> Result<Exit, Failure> {
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

fn secrets(arguments: &Inspect) -> Secrets {
    if arguments.show_secrets { Secrets::Show } else { Secrets::Hide }
}
