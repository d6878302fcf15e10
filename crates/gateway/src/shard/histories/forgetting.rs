//! Histories of a store that breaks before it comes to forget what is no longer kept: it is told again.
//! That would stay on the disk until the next start, and nobody who only reads sees it.

use std::time::{Duration, Instant};

use super::ground::Ground;
use super::step::Step;
use super::{KEPT, Shard, World, name, trust};

#[test]
fn what_a_store_that_broke_did_not_forget_it_forgets_once_it_is_mended() {
    for by_sweep in [false, true] {
        let mut world = World::new(Ground::on_disk(&trust()));
        let home = u16::try_from(world.home(0)).expect("few shards");
        let publish = |count| Step::Publish { shard: home, channel: 0, count };
        let round = || Step::Round { shard: home };
        let take = |world: &mut World, steps: &[Step]| steps.iter().for_each(|step| world.take_step(step));
        take(&mut world, &[publish(u64::from(KEPT) + 1), Step::Write, round(), Step::Fail]);
        if by_sweep {
            sweep(&world, home);
        } else {
            take(&mut world, &[publish(1)]);
        }
        take(&mut world, &[Step::Write, round(), Step::Mend, round()]);
        sweep(&world, home);
        take(&mut world, &[Step::Write, round()]);
        drop(std::mem::take(&mut world.shards));
        world.ground.end();
        let kept = usize::try_from(KEPT).expect("few");
        assert_eq!(world.ground.count_on_disk(&name(0)), kept, "by sweep: {by_sweep}");
    }
}

/// The clock strikes for what is kept.
fn sweep(world: &World, home: u16) {
    world.shards[usize::from(home)]
        .0
        .with(|shard: &mut Shard| shard.sweep_history(Instant::now(), Duration::ZERO));
}
