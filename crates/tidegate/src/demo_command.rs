//! `tidegate demo`: the plain HTTP server of `demo`, the gateway before it, and what to try next.
//!
//! The server knows nothing of the gateway, and the gateway is the one of `serve URL`.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::sync_channel;

use tidegate_gateway::route::Share;
use tidegate_gateway::settings::{Listener, Overrides, Secret, Settings};
use tidegate_gateway::{Gateway, Options, StartError};
use tidegate_inspect::words::known;

use crate::arguments::{Demo, LogFormat};
use crate::check::faulty;
use crate::demo;
use crate::exit::{Exit, Failure, say};
use crate::log;
use crate::serve::{not_started, page, token_of_environment, until_stopped};

/// The ports that are tried first.
const PUBLIC_PORT: u16 = 8080;
const ADMIN_PORT: u16 = 8081;

/// How many taken ports are passed over.
const TRIES: usize = 100;

pub(crate) fn run(arguments: &Demo) -> Result<Exit, Failure> {
    let log = log::start(Some(LogFormat::Pretty));
    let backend = start_backend()?;
    let gateway = start_gateway(arguments, backend, token_of_environment()?)?;
    say(greeting(&gateway));
    until_stopped(gateway, &log)
}

/// Starts the server on a thread of its own; it ends with the program.
fn start_backend() -> Result<SocketAddr, Failure> {
    let (started, address) = sync_channel(1);
    let serve = move || {
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => return drop(started.send(Err(error))),
        };
        runtime.block_on(async {
            let backend = demo::start().await;
            // The command waits for it.
            let _ = started.send(backend.as_ref().map(|backend| backend.address).map_err(copy));
            if backend.is_ok() {
                std::future::pending::<()>().await;
            }
        });
    };
    let failed = |error: std::io::Error| {
        Failure::of(known::DEMO, format!("the demo's server cannot be started: {error}"))
    };
    std::thread::Builder::new().name("demo".to_owned()).spawn(serve).map_err(failed)?;
    match address.recv() {
        Ok(address) => address.map_err(failed),
        Err(_) => Err(failed(std::io::Error::other("its thread has ended"))),
    }
}

fn copy(error: &std::io::Error) -> std::io::Error {
    std::io::Error::new(error.kind(), error.to_string())
}

/// Starts the gateway on the ports that were named, or on the first free ones.
fn start_gateway(arguments: &Demo, backend: SocketAddr, token: Option<Secret>) -> Result<Gateway, Failure> {
    let local = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut public = arguments.listen.unwrap_or(local(PUBLIC_PORT));
    let mut admin = arguments.admin.unwrap_or(local(ADMIN_PORT));
    for _ in 0..TRIES {
        let overrides = Overrides {
            public: Some(vec![Listener::Tcp(public)]),
            admin: Some(admin),
            admin_token: token.clone(),
            ..Overrides::default()
        };
        let settings = Settings::for_backend(&format!("http://{backend}"), Share::Public, overrides)
            .map_err(|faults| faulty(&faults))?;
        match Gateway::start(settings, Options::default()) {
            Err(StartError::AddressTaken(taken)) if taken == public && arguments.listen.is_none() => {
                public = next(taken, admin);
                say(format_args!("port {} is taken; trying {}", taken.port(), public.port()));
            }
            Err(StartError::AddressTaken(taken)) if taken == admin && arguments.admin.is_none() => {
                admin = next(taken, public);
                say(format_args!("port {} is taken; trying {}", taken.port(), admin.port()));
            }
            started => return started.map_err(|error| not_started(&error)),
        }
    }
    Err(Failure::of(known::DEMO, format!("{TRIES} ports from {PUBLIC_PORT} on are taken"))
        .mend("name free ones with --listen 127.0.0.1:PORT and --admin 127.0.0.1:PORT"))
}

/// The next port that is not the other's.
fn next(taken: SocketAddr, other: SocketAddr) -> SocketAddr {
    let after = |port: u16| port.checked_add(1).unwrap_or(1024);
    let port = after(taken.port());
    SocketAddr::new(taken.ip(), if port == other.port() { after(port) } else { port })
}

fn greeting(gateway: &Gateway) -> String {
    let address = gateway.public_addresses().first().copied();
    let address = address.map_or_else(|| format!("127.0.0.1:{PUBLIC_PORT}"), |address| address.to_string());
    format!(
        "A plain HTTP server has the figures of this machine, and tidegate stands before it.\n\
         \n  page      http://{address}/\
         \n  connect   tidegate connect ws://{address}/machine.json\
         \n  stream    curl -N -H 'Accept: text/event-stream' http://{address}/load.json\
         \n  poll      curl http://{address}/machine.json\
         \n  inspect   {}\n\
         \nCtrl-C ends it.",
        page(gateway)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_port_is_nobody_elses() {
        let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        assert_eq!(next(at(8080), at(8081)), at(8082));
        assert_eq!(next(at(8081), at(8080)), at(8082));
        assert_eq!(next(at(8082), at(8081)), at(8083));
        assert_eq!(next(at(u16::MAX), at(1024)), at(1025));
    }
}
