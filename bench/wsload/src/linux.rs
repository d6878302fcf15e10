//! What the generator asks of the kernel: sockets that never block, epoll, a clock, a CPU to stay on, signals.
//! It holds no state; what is sent and what comes is the business of the modules that use it.

use std::io;
use std::net::SocketAddrV4;
use std::os::fd::OwnedFd;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with, sockopt,
};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use rustix::thread::{CpuSet, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Readable, or ended.
pub const READABLE: EventFlags = EventFlags::IN;
/// Writable, or connected.
pub const WRITABLE: EventFlags = EventFlags::OUT;
/// Either.
pub const BOTH: EventFlags = EventFlags::IN.union(EventFlags::OUT);

/// Nanoseconds of a clock that only goes forward.
pub fn now() -> u64 {
    nanoseconds(ClockId::Monotonic)
}

/// CPU time of this process in nanoseconds.
pub fn own_cpu() -> u64 {
    nanoseconds(ClockId::ProcessCPUTime)
}

fn nanoseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    time.tv_sec.unsigned_abs() * 1_000_000_000 + time.tv_nsec.unsigned_abs()
}

/// Keeps this thread on one CPU.
pub fn stay_on(cpu: usize) -> io::Result<()> {
    let mut set = CpuSet::new();
    set.set(cpu);
    Ok(sched_setaffinity(None, &set)?)
}

/// As many descriptors as this process may have.
pub fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    // Where it may not be raised, connecting says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Sends a signal to a process.
pub fn signal(process: u32, signal: Signal) -> io::Result<()> {
    let process = i32::try_from(process).ok().and_then(Pid::from_raw).ok_or(io::ErrorKind::InvalidInput)?;
    Ok(kill_process(process, signal)?)
}

/// Begins to connect; the socket becomes writable when it is done.
pub fn begin_connect(address: SocketAddrV4) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    sockopt::set_tcp_nodelay(&socket, true)?;
    match connect(&socket, &address) {
        Ok(()) | Err(Errno::INPROGRESS) => Ok(socket),
        Err(error) => Err(error.into()),
    }
}

/// Bytes that came, 0 at the end; `None` if there is nothing now.
pub fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    match recv(socket, buffer, RecvFlags::empty()) {
        Ok((count, _)) => Ok(Some(count)),
        Err(Errno::AGAIN | Errno::INTR) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Sends all of it. What the generator sends fits into the buffer of an idle socket, so less is an error.
pub fn send_all(socket: &OwnedFd, bytes: &[u8]) -> io::Result<()> {
    if send(socket, bytes, SendFlags::NOSIGNAL)? == bytes.len() {
        Ok(())
    } else {
        Err(io::Error::other("the socket did not take all of it"))
    }
}

/// Sends what the socket takes now.
pub fn send_some(socket: &OwnedFd, bytes: &[u8]) -> io::Result<usize> {
    match send(socket, bytes, SendFlags::NOSIGNAL) {
        Ok(count) => Ok(count),
        Err(Errno::AGAIN | Errno::INTR) => Ok(0),
        Err(error) => Err(error.into()),
    }
}

/// One epoll instance and the events of its last wait.
pub struct Poller {
    epoll: OwnedFd,
    events: Vec<Event>,
}

/// Events taken by one wait.
const EVENTS: usize = 512;

impl Poller {
    /// An instance that watches nothing.
    pub fn new() -> io::Result<Self> {
        let nothing = Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
        Ok(Self { epoll: epoll::create(CreateFlags::CLOEXEC)?, events: vec![nothing; EVENTS] })
    }

    /// Watches a socket, which is `number` from now on.
    pub fn add(&self, socket: &OwnedFd, number: usize, events: EventFlags) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, socket, EventData::new_u64(number as u64), events)?)
    }

    /// Watches for something else.
    pub fn modify(&self, socket: &OwnedFd, number: usize, events: EventFlags) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, socket, EventData::new_u64(number as u64), events)?)
    }

    /// Waits; gives how many sockets are ready, which [`Poller::ready`] names.
    pub fn wait(&mut self, milliseconds: u32) -> usize {
        let limit = Timespec {
            tv_sec: i64::from(milliseconds / 1000),
            tv_nsec: i64::from(milliseconds % 1000) * 1_000_000,
        };
        epoll::wait(&self.epoll, self.events.as_mut_slice(), Some(&limit)).unwrap_or(0)
    }

    /// The number of a socket that is ready.
    pub fn ready(&self, place: usize) -> usize {
        let data = self.events[place].data;
        usize::try_from(data.u64()).unwrap_or(usize::MAX)
    }
}
