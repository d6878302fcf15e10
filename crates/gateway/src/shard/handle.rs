//! How tasks on a shard's own thread reach it: borrowed for a moment, or asked to let something happen on another
//! shard. What is done there is the caller's.

use std::io;
use std::time::Instant;

use tidegate_hub::ShardId;
use tokio::sync::{mpsc, oneshot};

use super::crossing::Crossing;
use super::{Batch, Shard, ShardRef};

impl ShardRef {
    /// Borrows the shard; a round follows.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut Shard) -> R) -> R {
        let result = {
            let mut shard = self.shard.borrow_mut();
            // Timers that begin here begin now, not when the last round was.
            shard.turn_wheel(Instant::now());
            act(&mut shard)
        };
        self.wake.notify_one();
        result
    }

    /// Borrows the shard for what no round need follow.
    pub(crate) fn tidy<R>(&self, act: impl FnOnce(&mut Shard) -> R) -> R {
        act(&mut self.shard.borrow_mut())
    }

    /// The same at the present time, for what is timed from now on; a round follows where a timer was due.
    pub(crate) fn tidy_timed<R>(&self, act: impl FnOnce(&mut Shard) -> R) -> R {
        let (due, result) = {
            let mut shard = self.shard.borrow_mut();
            (shard.turn_wheel(Instant::now()), act(&mut shard))
        };
        if due {
            self.wake.notify_one();
        }
        result
    }

    /// Borrows the shard to look at it; nothing follows.
    pub(crate) fn look<R>(&self, look: impl FnOnce(&Shard) -> R) -> R {
        look(&self.shard.borrow())
    }

    /// Lets `act` happen on the shard `target` and waits for its result; `None` if that shard has ended.
    pub(crate) async fn ask<R: Send + 'static>(
        &self,
        target: ShardId,
        act: impl FnOnce(&mut Shard) -> R + Send + 'static,
    ) -> Option<R> {
        let (sender, receiver) = oneshot::channel();
        self.with(|shard| {
            let call = Box::new(move |there: &mut Shard| {
                // Whoever asked may have gone meanwhile.
                let _ = sender.send(act(there));
            });
            shard.cross(target, Crossing::Call(call));
        });
        receiver.await.ok()
    }

    /// Lets `act` happen on the shard `target`; nobody waits for it.
    pub(crate) fn call(&self, target: ShardId, act: impl FnOnce(&mut Shard) + Send + 'static) {
        self.with(|shard| shard.cross(target, Crossing::Call(Box::new(act))));
    }

    /// Waits until somebody borrowed the shard to change it.
    pub(crate) async fn changed(&self) {
        self.wake.notified().await;
    }

    /// The same for the round itself, which needs no waking after it.
    pub(crate) fn round(&self, mailbox: &mut mpsc::Receiver<Batch>, now: Instant) -> io::Result<bool> {
        self.shard.borrow_mut().round(mailbox, now)
    }
}
