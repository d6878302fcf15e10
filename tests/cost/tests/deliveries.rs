//! Writes and compressions per delivery, exactly. A write is over nine tenths of what a delivery costs, so a change that makes one
//! more of them shows here before it shows in any benchmark.

use tidegate_cost::{Audience, text};

const SUBSCRIBERS: usize = 100;

#[test]
fn a_single_publication_is_one_write_a_subscriber() {
    let mut audience = Audience::of(SUBSCRIBERS);
    for number in 1..=10 {
        let before = audience.writes();
        audience.publish(&format!("publication {number}"));
        assert_eq!(audience.writes() - before, SUBSCRIBERS as u64);
    }
}

#[test]
fn sixteen_publications_of_one_round_are_one_write_a_subscriber() {
    let mut audience = Audience::of(SUBSCRIBERS);
    let mut publishers: [_; 16] = audience.publishers();
    for _ in 0..5 {
        let before = audience.writes();
        publishers = audience.publish_in_one_round(publishers);
        assert_eq!(audience.writes() - before, SUBSCRIBERS as u64);
    }
}

#[test]
fn what_many_agreed_on_is_compressed_once_a_publication() {
    let mut audience = Audience::deflated(1, SUBSCRIBERS);
    for number in 1..=10 {
        let before = (audience.writes(), audience.compressed());
        audience.publish(&text(number));
        assert_eq!(audience.writes() - before.0, SUBSCRIBERS as u64);
        assert_eq!(audience.compressed() - before.1, 1);
    }
    let mut publishers: [_; 16] = audience.publishers();
    for _ in 0..5 {
        let before = (audience.writes(), audience.compressed());
        publishers = audience.publish_in_one_round(publishers);
        assert_eq!(audience.writes() - before.0, SUBSCRIBERS as u64);
        assert_eq!(audience.compressed() - before.1, 16);
    }
}

#[test]
fn each_shard_compresses_for_itself_and_once() {
    let mut audience = Audience::deflated(2, SUBSCRIBERS);
    let shards = audience.shards();
    for number in 1..=10 {
        let before = audience.compressed();
        audience.publish(&text(number));
        assert_eq!(audience.compressed() - before, shards);
    }
}

#[test]
fn nobody_who_agreed_on_compression_means_none() {
    let mut audience = Audience::of(SUBSCRIBERS);
    audience.publish(&text(1));
    assert_eq!(audience.compressed(), 0);
}
