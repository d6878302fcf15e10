//! From the bytes of a file to packets: pcapng (draft-ietf-opsawg-pcapng) and pcap (draft-ietf-opsawg-pcap), of both byte
//! orders and any resolution of time.
//!
//! Blocks that hold no packets are passed over without being kept. Of the file no more lies here than one packet.

use std::ops::Range;

use crate::recording::fault::RecordingError;
use crate::timestamp::Timestamp;

const SECTION_HEADER: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
/// First bytes of pcap: times in microseconds, or in nanoseconds.
const PCAP_MICROS: u32 = 0xa1b2_c3d4;
const PCAP_NANOS: u32 = 0xa1b2_3c4d;
const PCAP_HEADER_BYTES: usize = 24;
const PCAP_RECORD_BYTES: usize = 16;

/// Options of an interface.
const RESOLUTION: u16 = 9;
const TIME_OFFSET: u16 = 14;

/// Bytes of a block that is kept, at most; the largest packets of Linux have half a megabyte.
const BLOCK_MAX_BYTES: usize = 4 << 20;

/// Interfaces of a section, at most.
const INTERFACES_MAX: usize = 10_000;

/// A packet as far as it was captured.
pub(super) struct Packet<'p> {
    pub(super) at: Timestamp,
    /// What it begins with: LINKTYPE_….
    pub(super) link: u32,
    pub(super) bytes: &'p [u8],
    /// Bytes that it had on the network.
    pub(super) length: usize,
}

/// See the module's head.
#[derive(Debug, Default)]
pub(super) struct PacketFile {
    form: Form,
    /// Bytes that came and were not taken.
    kept: Vec<u8>,
    /// Bytes of the file in front of them.
    offset: u64,
    /// Bytes to pass over.
    skip: u64,
    is_big_endian: bool,
    interfaces: Vec<Interface>,
    last_time: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Form {
    #[default]
    Unknown,
    Pcapng,
    Pcap,
}

#[derive(Debug, Clone, Copy)]
struct Interface {
    link: u32,
    /// Bytes kept of a packet; 0 says all.
    snaplen: usize,
    resolution: Resolution,
    /// Seconds to add.
    offset: i64,
}

#[derive(Debug, Clone, Copy)]
enum Resolution {
    /// A second has 10 to this power.
    Decimal(u32),
    /// A second has 2 to this power.
    Binary(u32),
}

/// A packet within `kept`.
struct Found {
    at: Timestamp,
    link: u32,
    bytes: Range<usize>,
    length: usize,
}

impl PacketFile {
    /// Takes the next bytes, and tells the packets that have come whole with them.
    pub(super) fn handle_input(
        &mut self,
        mut bytes: &[u8],
        tell: &mut dyn FnMut(Packet<'_>),
    ) -> Result<(), RecordingError> {
        while !bytes.is_empty() {
            let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(bytes.len());
            self.skip -= skipped as u64;
            self.offset += skipped as u64;
            if self.skip > 0 {
                return Ok(());
            }
            // No more at a time than a block may have.
            let length = (bytes.len() - skipped).min(BLOCK_MAX_BYTES);
            self.kept.extend_from_slice(&bytes[skipped..skipped + length]);
            bytes = &bytes[skipped + length..];
            self.take_blocks(tell)?;
        }
        Ok(())
    }

    /// Says that the file ends.
    pub(super) fn handle_end(&self) -> Result<(), RecordingError> {
        match (self.kept.is_empty() && self.skip == 0, self.form) {
            (true, Form::Unknown) => Err(self.fault(0, "the file is empty")),
            (true, _) => Ok(()),
            (false, Form::Unknown) => Err(self.fault(0, "neither pcapng nor pcap")),
            (false, Form::Pcapng) => {
                Err(self.fault(0, "the recording ends within the block that begins here"))
            }
            (false, Form::Pcap) => {
                Err(self.fault(0, "the recording ends within the packet that begins here"))
            }
        }
    }

    fn take_blocks(&mut self, tell: &mut dyn FnMut(Packet<'_>)) -> Result<(), RecordingError> {
        let mut taken = 0;
        let result = loop {
            match self.take_block(taken, tell) {
                Ok(0) => break Ok(()),
                Ok(length) => taken += length,
                Err(error) => break Err(error),
            }
        };
        let here = taken.min(self.kept.len());
        self.kept.drain(..here);
        self.offset += here as u64;
        let beyond = (taken - here) as u64;
        self.skip = beyond;
        result
    }

    /// Takes what begins at `at`, and gives its length, which may be more than there is if it is passed over; 0 if more
    /// must come.
    fn take_block(&mut self, at: usize, tell: &mut dyn FnMut(Packet<'_>)) -> Result<usize, RecordingError> {
        let Some(rest) = self.kept.get(at..).filter(|rest| rest.len() >= 4) else { return Ok(0) };
        match self.form {
            Form::Unknown => {
                let first: [u8; 4] = [rest[0], rest[1], rest[2], rest[3]];
                let pcap = [PCAP_MICROS, PCAP_NANOS];
                if u32::from_be_bytes(first) == SECTION_HEADER {
                    self.form = Form::Pcapng;
                    return self.take_pcapng_block(at, tell);
                }
                self.is_big_endian = pcap.contains(&u32::from_be_bytes(first));
                if !self.is_big_endian && !pcap.contains(&u32::from_le_bytes(first)) {
                    return Err(self.fault(at, "neither pcapng nor pcap"));
                }
                self.take_pcap_header(at)
            }
            Form::Pcapng => self.take_pcapng_block(at, tell),
            Form::Pcap => self.take_pcap_record(at, tell),
        }
    }

    fn take_pcapng_block(
        &mut self,
        at: usize,
        tell: &mut dyn FnMut(Packet<'_>),
    ) -> Result<usize, RecordingError> {
        if self.kept.len() - at < 12 {
            return Ok(0);
        }
        // The type of a section's header is the same both ways round.
        let is_section = self.u32(at) == SECTION_HEADER;
        if is_section {
            self.is_big_endian = self.kept[at + 8..at + 12] == BYTE_ORDER.to_be_bytes();
            if self.u32(at + 8) != BYTE_ORDER {
                return Err(self.fault(at + 8, "the section does not say which way round its numbers are"));
            }
        }
        let (kind, length) = (self.u32(at), self.u32(at + 4) as usize);
        if length < 12 || !length.is_multiple_of(4) {
            return Err(self.fault(at + 4, format!("a block of {length} bytes cannot be")));
        }
        if !is_section && !matches!(kind, INTERFACE | OBSOLETE_PACKET | SIMPLE_PACKET | ENHANCED_PACKET) {
            return Ok(length);
        }
        if length > BLOCK_MAX_BYTES {
            return Err(self.fault(at + 4, format!("a block of {length} bytes is more than is read")));
        }
        if self.kept.len() - at < length {
            return Ok(0);
        }
        if self.u32(at + length - 4) as usize != length {
            return Err(self.fault(at + length - 4, "the length at the block's end is another one"));
        }
        let body = at + 8..at + length - 4;
        let found = match kind {
            SECTION_HEADER => {
                self.interfaces.clear();
                None
            }
            INTERFACE => {
                self.take_interface(body)?;
                None
            }
            SIMPLE_PACKET => Some(self.simple_packet(body)?),
            _ => Some(self.packet(kind, body)?),
        };
        self.tell(found, tell);
        Ok(length)
    }

    fn take_interface(&mut self, body: Range<usize>) -> Result<(), RecordingError> {
        if body.len() < 8 {
            return Err(self.fault(body.start, "an interface's block is too short"));
        }
        if self.interfaces.len() == INTERFACES_MAX {
            return Err(self.fault(body.start, "more than 10,000 interfaces"));
        }
        let mut interface = Interface {
            link: u32::from(self.u16(body.start)),
            snaplen: self.u32(body.start + 4) as usize,
            resolution: Resolution::Decimal(6),
            offset: 0,
        };
        let mut at = body.start + 8;
        while at + 4 <= body.end && self.u16(at) != 0 {
            let (code, length) = (self.u16(at), usize::from(self.u16(at + 2)));
            let value = at + 4..at + 4 + length;
            if value.end > body.end {
                return Err(self.fault(at, "an option is longer than its block"));
            }
            match (code, &self.kept[value.clone()]) {
                (RESOLUTION, [power]) => interface.resolution = Resolution::of(*power),
                (TIME_OFFSET, [_, _, _, _, _, _, _, _]) => {
                    interface.offset = self.u64(value.start).cast_signed()
                }
                _ => {}
            }
            at = value.start + length.next_multiple_of(4);
        }
        self.interfaces.push(interface);
        Ok(())
    }

    /// Of a section with one interface, and without a time: that of the packet before it stands for it.
    fn simple_packet(&mut self, body: Range<usize>) -> Result<Found, RecordingError> {
        let interface = self.interface(0, body.start)?;
        if body.len() < 4 {
            return Err(self.fault(body.start, "a packet's block is too short"));
        }
        let length = self.u32(body.start) as usize;
        let snaplen = if interface.snaplen == 0 { usize::MAX } else { interface.snaplen };
        let start = body.start + 4;
        let bytes = start..start + length.min(snaplen).min(body.end - start);
        Ok(Found { at: self.last_time, link: interface.link, bytes, length })
    }

    fn packet(&mut self, kind: u32, body: Range<usize>) -> Result<Found, RecordingError> {
        if body.len() < 20 {
            return Err(self.fault(body.start, "a packet's block is too short"));
        }
        let number = match kind {
            OBSOLETE_PACKET => u32::from(self.u16(body.start)),
            _ => self.u32(body.start),
        };
        let interface = self.interface(number, body.start)?;
        let [high, low, kept, length] = [4, 8, 12, 16].map(|at| self.u32(body.start + at));
        let start = body.start + 20;
        if kept as usize > body.end - start {
            return Err(self.fault(body.start + 12, "a packet is longer than its block"));
        }
        self.last_time = interface.time(u64::from(high) << 32 | u64::from(low));
        let bytes = start..start + kept as usize;
        Ok(Found { at: self.last_time, link: interface.link, bytes, length: length as usize })
    }

    fn interface(&self, number: u32, at: usize) -> Result<Interface, RecordingError> {
        let found = usize::try_from(number).ok().and_then(|number| self.interfaces.get(number));
        found
            .copied()
            .ok_or_else(|| self.fault(at, format!("a packet of interface {number}, which is not described")))
    }

    fn take_pcap_header(&mut self, at: usize) -> Result<usize, RecordingError> {
        if self.kept.len() - at < PCAP_HEADER_BYTES {
            return Ok(0);
        }
        self.form = Form::Pcap;
        let digits = if self.u32(at) == PCAP_NANOS { 9 } else { 6 };
        // The upper bits say how long the check sequence of a frame is.
        let link = self.u32(at + 20) & 0x03ff_ffff;
        let resolution = Resolution::Decimal(digits);
        self.interfaces = vec![Interface { link, snaplen: 0, resolution, offset: 0 }];
        Ok(PCAP_HEADER_BYTES)
    }

    fn take_pcap_record(
        &mut self,
        at: usize,
        tell: &mut dyn FnMut(Packet<'_>),
    ) -> Result<usize, RecordingError> {
        if self.kept.len() - at < PCAP_RECORD_BYTES {
            return Ok(0);
        }
        let [seconds, part, kept, length] = [0, 4, 8, 12].map(|field| self.u32(at + field));
        if kept as usize > BLOCK_MAX_BYTES {
            return Err(self.fault(at + 8, format!("a packet of {kept} bytes is more than is read")));
        }
        let start = at + PCAP_RECORD_BYTES;
        if self.kept.len() - start < kept as usize {
            return Ok(0);
        }
        let interface = self.interface(0, at)?;
        let Resolution::Decimal(digits) = interface.resolution else { return Ok(0) };
        let units = u64::from(seconds) * 10u64.pow(digits) + u64::from(part);
        let found = Found {
            at: interface.time(units),
            link: interface.link,
            bytes: start..start + kept as usize,
            length: length as usize,
        };
        self.tell(Some(found), tell);
        Ok(PCAP_RECORD_BYTES + kept as usize)
    }

    fn tell(&self, found: Option<Found>, tell: &mut dyn FnMut(Packet<'_>)) {
        let Some(Found { at, link, bytes, length }) = found else { return };
        tell(Packet { at, link, length: length.max(bytes.len()), bytes: &self.kept[bytes] });
    }

    /// The number at that place, which is there.
    fn u16(&self, at: usize) -> u16 {
        let bytes = [self.kept[at], self.kept[at + 1]];
        if self.is_big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn u32(&self, at: usize) -> u32 {
        let (first, second) = (u32::from(self.u16(at)), u32::from(self.u16(at + 2)));
        if self.is_big_endian { first << 16 | second } else { second << 16 | first }
    }

    fn u64(&self, at: usize) -> u64 {
        let (first, second) = (u64::from(self.u32(at)), u64::from(self.u32(at + 4)));
        if self.is_big_endian { first << 32 | second } else { second << 32 | first }
    }

    fn fault(&self, at: usize, what: impl Into<String>) -> RecordingError {
        RecordingError { offset: self.offset + at as u64, line: None, what: what.into() }
    }
}

impl Resolution {
    const fn of(byte: u8) -> Self {
        match byte & 0x80 {
            0 => Self::Decimal(byte as u32),
            _ => Self::Binary((byte & 0x7f) as u32),
        }
    }
}

impl Interface {
    /// The point in time; what is beyond any calendar is its beginning or end.
    fn time(self, units: u64) -> Timestamp {
        let micros = u128::from(units) * 1_000_000;
        let micros = match self.resolution {
            Resolution::Binary(power) => micros >> power,
            Resolution::Decimal(power) => 10u128.checked_pow(power).map_or(0, |second| micros / second),
        };
        let micros = i128::try_from(micros).unwrap_or(i128::MAX);
        let micros = micros.saturating_add(i128::from(self.offset) * 1_000_000).max(0);
        Timestamp::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}
