//! Buffers that the connections of a thread lend from each other, so that an idle connection has none.
//!
//! A connection takes one when it reads or has something to write, and gives it back when all of it was
//! taken or written. A thread keeps a few and lets the others go.

use std::cell::RefCell;

/// Bytes read at a time.
pub(crate) const READ_BYTES: usize = 32 * 1024;

/// Capacity up to which a buffer that was written is kept.
const WRITE_KEPT_BYTES: usize = 64 * 1024;

/// Buffers of each kind that a thread keeps: those of the connections that wait with something unfinished
/// are not among them, so that few are ever needed.
const KEPT: usize = 4;

thread_local! {
    static READ: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
    static WRITE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

/// A buffer of [`READ_BYTES`] whose contents mean nothing.
pub(crate) fn take_read() -> Vec<u8> {
    READ.with_borrow_mut(Vec::pop).unwrap_or_else(|| vec![0; READ_BYTES])
}

/// Takes back what [`take_read`] gave; other buffers are let go.
pub(crate) fn give_read(buffer: Vec<u8>) {
    READ.with_borrow_mut(|kept| {
        if buffer.len() == READ_BYTES && kept.len() < KEPT {
            kept.push(buffer);
        }
    });
}

/// An empty buffer with or without capacity.
pub(crate) fn take_write() -> Vec<u8> {
    WRITE.with_borrow_mut(Vec::pop).unwrap_or_default()
}

/// Takes back a buffer, unless it has grown large.
pub(crate) fn give_write(mut buffer: Vec<u8>) {
    buffer.clear();
    WRITE.with_borrow_mut(|kept| {
        if (1..=WRITE_KEPT_BYTES).contains(&buffer.capacity()) && kept.len() < KEPT {
            kept.push(buffer);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_keeps_a_few_buffers_and_no_large_ones() {
        (0..KEPT + 2).map(|_| vec![0; READ_BYTES]).for_each(give_read);
        give_read(vec![0; 5]);
        assert_eq!(
            READ.with_borrow(|kept| kept.iter().map(Vec::len).collect::<Vec<_>>()),
            [READ_BYTES; KEPT]
        );
        give_write(Vec::with_capacity(WRITE_KEPT_BYTES + 1));
        give_write(Vec::new());
        assert_eq!(take_write().capacity(), 0);
        let mut used = Vec::with_capacity(100);
        used.push(1);
        give_write(used);
        let again = take_write();
        assert_eq!((again.len(), again.capacity()), (0, 100));
    }
}
