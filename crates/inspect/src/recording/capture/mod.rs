//! Captures read again: pcapng and pcap, ours and those of Wireshark, dumpcap and tcpdump.
//!
//! Packets become the byte streams of TCP connections; where one asks for a WebSocket, on whatever port, a tap makes
//! events of it. IP fragments are not put together, and what TLS hides stays hidden: both are counted and told.

mod packet_file;

mod segment;

mod reassembly;

mod flow;

mod reader;

#[cfg(test)]
mod tests;

pub use reader::CaptureReader;
