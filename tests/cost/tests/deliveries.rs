//! Writes per delivery, exactly. A write is over nine tenths of what a delivery costs, so a change that makes one
//! more of them shows here before it shows in any benchmark.

use tidegate_cost::Audience;

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
