//! JSON Patch (RFC 6902): the operations that turn one document into another, written as they are found.
//!
//! Where describing the parts of a value would take more than the value itself, the value goes whole.

use foldhash::fast::RandomState;

use super::align::{Alignment, align};
use super::sequence::ascending;
use super::text::{write_index, write_segment};
use super::value::{Member, Shape, Value};

/// What may be spent on a document, for each byte of it: steps of a search, places that moving things touches. So
/// many take about as long as reading the byte did.
const WORK_A_BYTE: usize = 4;

/// What may be spent on any document: a few milliseconds.
const WORK_MAX: usize = 4_000_000;

/// It would be longer than the document, or take too long to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TooLong;

/// The patch from `before` to `after`, of less than `max` bytes.
pub(super) fn patch(
    before: &Value<'_>,
    after: &Value<'_>,
    max: usize,
    state: &RandomState,
) -> Result<Vec<u8>, TooLong> {
    let work = (WORK_A_BYTE * (before.size() + after.size())).min(WORK_MAX);
    let mut script = Script { output: vec![b'['], path: Vec::new(), work, state };
    script.change(before, after, max)?;
    // Each operation ends with a comma: the last one's gives way.
    if script.output.len() > 1 {
        script.output.pop();
    }
    script.output.push(b']');
    Ok(script.output)
}

struct Script<'s> {
    output: Vec<u8>,
    /// The pointer to the value that is being looked at, escaped for a string.
    path: Vec<u8>,
    work: usize,
    state: &'s RandomState,
}

impl Script<'_> {
    /// What turns one value into another. Nothing is written beyond `max`.
    fn change(&mut self, before: &Value<'_>, after: &Value<'_>, max: usize) -> Result<(), TooLong> {
        if before == after {
            return Ok(());
        }
        let start = self.output.len();
        let whole = start + self.size_of("replace", after);
        let parts = match (&before.shape, &after.shape) {
            (Shape::Object(before), Shape::Object(after)) => self.object(before, after, max.min(whole)),
            (Shape::Array(before), Shape::Array(after)) => self.array(before, after, max.min(whole)),
            _ => Err(TooLong),
        };
        parts.or_else(|TooLong| {
            self.output.truncate(start);
            self.set("replace", after, max)
        })
    }

    fn object(&mut self, before: &[Member<'_>], after: &[Member<'_>], max: usize) -> Result<(), TooLong> {
        let (mut old, mut new) = (before.iter().peekable(), after.iter().peekable());
        loop {
            // Both ascend by key: the lower one of the two is next.
            let gone = old.next_if(|old| new.peek().is_none_or(|new| old.key < new.key));
            if let Some(Member { key, .. }) = gone {
                self.at_member(key, |script| script.remove(max))?;
                continue;
            }
            let Some(Member { key, value }) = new.next() else { return Ok(()) };
            match old.next_if(|old| old.key == *key) {
                Some(old) if old.value == *value => {}
                Some(old) => self.at_member(key, |script| script.change(&old.value, value, max))?,
                None => self.at_member(key, |script| script.set("add", value, max))?,
            }
        }
    }

    fn array(&mut self, before: &[Value<'_>], after: &[Value<'_>], max: usize) -> Result<(), TooLong> {
        let alignment = align(before, after, self.state, &mut self.work);
        let left = self.remove_unused(before.len(), &alignment, max)?;
        self.place(after, &alignment, left, max)?;
        for (index, (value, origin)) in after.iter().zip(&alignment).enumerate() {
            if let Some(old) = origin.and_then(|origin| before.get(origin))
                && old != value
            {
                self.at_index(index, |script| script.change(old, value, max))?;
            }
        }
        Ok(())
    }

    /// Removes the elements that become nothing, from the last to the first so that no index changes before its turn.
    /// Gives those that are left.
    fn remove_unused(
        &mut self,
        count: usize,
        alignment: &Alignment,
        max: usize,
    ) -> Result<Vec<usize>, TooLong> {
        let mut used = vec![false; count];
        alignment.iter().flatten().for_each(|origin| used[*origin] = true);
        for index in (0..count).rev().filter(|index| !used[*index]) {
            self.at_index(index, |script| script.remove(max))?;
        }
        Ok((0..count).filter(|index| used[*index]).collect())
    }

    /// Adds what is new and moves what has another place, from the first to the last. `left` are the elements as they
    /// stand, by their places before.
    fn place(
        &mut self,
        after: &[Value<'_>],
        alignment: &Alignment,
        mut left: Vec<usize>,
        max: usize,
    ) -> Result<(), TooLong> {
        let origins: Vec<usize> = alignment.iter().flatten().copied().collect();
        let stays = ascending(&origins);
        let mut stays = stays.into_iter();
        // Behind what has its place already. What stands between that and the next that stays, will be moved.
        let mut cursor = 0;
        for (value, origin) in after.iter().zip(alignment) {
            match origin {
                None => {
                    self.spend(left.len() - cursor)?;
                    self.at_index(cursor, |script| script.set("add", value, max))?;
                    left.insert(cursor, usize::MAX);
                    cursor += 1;
                }
                Some(origin) if stays.next() == Some(true) => {
                    let ahead = left[cursor..].iter().position(|one| one == origin);
                    cursor += ahead.ok_or(TooLong)? + 1;
                }
                Some(origin) => {
                    self.spend(left.len())?;
                    let from = left.iter().position(|one| one == origin).ok_or(TooLong)?;
                    let to = if from < cursor { cursor - 1 } else { cursor };
                    let moved = left.remove(from);
                    left.insert(to, moved);
                    cursor = to + 1;
                    if from != to {
                        self.move_element(from, to, max)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn spend(&mut self, work: usize) -> Result<(), TooLong> {
        // Shifting places is a fraction of looking at them.
        self.work = self.work.checked_sub(1 + work / 8).ok_or(TooLong)?;
        Ok(())
    }

    fn at_member<R>(&mut self, key: &str, act: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.path.len();
        write_segment(&mut self.path, key);
        let result = act(self);
        self.path.truncate(length);
        result
    }

    fn at_index<R>(&mut self, index: usize, act: impl FnOnce(&mut Self) -> R) -> R {
        let length = self.path.len();
        write_index(&mut self.path, index);
        let result = act(self);
        self.path.truncate(length);
        result
    }

    fn size_of(&self, operation: &str, value: &Value<'_>) -> usize {
        r#"{"op":"","path":"","value":},"#.len() + operation.len() + self.path.len() + value.size()
    }

    /// `add` or `replace`.
    fn set(&mut self, operation: &str, value: &Value<'_>, max: usize) -> Result<(), TooLong> {
        if self.output.len() + self.size_of(operation, value) > max {
            return Err(TooLong);
        }
        self.begin(operation);
        self.output.extend_from_slice(b",\"value\":");
        value.write(&mut self.output);
        self.output.extend_from_slice(b"},");
        Ok(())
    }

    fn remove(&mut self, max: usize) -> Result<(), TooLong> {
        self.begin("remove");
        self.output.extend_from_slice(b"},");
        if self.output.len() > max { Err(TooLong) } else { Ok(()) }
    }

    fn move_element(&mut self, from: usize, to: usize, max: usize) -> Result<(), TooLong> {
        self.at_index(to, |script| script.begin("move"));
        self.output.extend_from_slice(b",\"from\":\"");
        self.output.extend_from_slice(&self.path);
        write_index(&mut self.output, from);
        self.output.extend_from_slice(b"\"},");
        if self.output.len() > max { Err(TooLong) } else { Ok(()) }
    }

    fn begin(&mut self, operation: &str) {
        self.output.extend_from_slice(b"{\"op\":\"");
        self.output.extend_from_slice(operation.as_bytes());
        self.output.extend_from_slice(b"\",\"path\":\"");
        self.output.extend_from_slice(&self.path);
        self.output.push(b'"');
    }
}
