//! A piece of network between clients and a server: it hands bytes on and knows nothing of them, until a test cuts
//! all connections and lets nobody through for a while.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Where a relay leads.
#[derive(Debug, Clone)]
pub enum Target {
    /// To a port.
    Tcp(SocketAddr),
    /// To a socket of the file system.
    Unix(PathBuf),
}

/// The relay. Its threads end with the process.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    wire: Arc<Wire>,
}

#[derive(Debug, Default)]
struct Wire {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    is_cut: bool,
    /// The clients' ends of what is open, and of some that are not any more.
    clients: Vec<TcpStream>,
}

impl Relay {
    /// A relay on a port of the loopback address that the system chooses.
    ///
    /// # Panics
    ///
    /// If none is free.
    #[must_use]
    pub fn to(target: Target) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("the address of a listener");
        let wire = Arc::new(Wire::default());
        let kept = Arc::clone(&wire);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let (wire, target) = (Arc::clone(&kept), target.clone());
                // A connection that fails is closed, and that is what the client is to see.
                std::thread::spawn(move || drop(wire.carry(client, &target)));
            }
        });
        Self { address, wire }
    }

    /// The URL of a path for HTTP clients.
    #[must_use]
    pub fn http(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Ends all connections; new ones wait from now on.
    pub fn cut(&self) {
        let mut state = self.wire.lock();
        state.is_cut = true;
        for client in state.clients.drain(..) {
            // It may have ended already.
            let _ = client.shutdown(Shutdown::Both);
        }
    }

    /// Lets connections through again.
    pub fn mend(&self) {
        self.wire.lock().is_cut = false;
        self.wire.changed.notify_all();
    }
}

impl Wire {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn carry(&self, client: TcpStream, target: &Target) -> io::Result<()> {
        let state = self.lock();
        let mut state =
            self.changed.wait_while(state, |state| state.is_cut).unwrap_or_else(PoisonError::into_inner);
        state.clients.push(client.try_clone()?);
        drop(state);
        match target {
            Target::Tcp(address) => {
                let server = TcpStream::connect(address)?;
                let end = || server.shutdown(Shutdown::Both);
                exchange(&client, (&server, &server), end)
            }
            Target::Unix(path) => {
                let server = UnixStream::connect(path)?;
                let end = || server.shutdown(Shutdown::Both);
                exchange(&client, (&server, &server), end)
            }
        }
    }
}

/// Copies both ways until one of them ends, and then ends the other.
fn exchange(
    client: &TcpStream,
    (mut from_server, mut to_server): (impl Read + Send, impl Write + Send),
    end: impl Fn() -> io::Result<()> + Sync,
) -> io::Result<()> {
    let (mut from_client, mut to_client) = (client, client);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // How it ended does not matter: both ends see that it did.
            let _ = io::copy(&mut from_client, &mut to_server);
            let _ = end();
        });
        let _ = io::copy(&mut from_server, &mut to_client);
        let _ = client.shutdown(Shutdown::Both);
    });
    Ok(())
}
