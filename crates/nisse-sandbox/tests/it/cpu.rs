//! The token bucket behind an agent's share of a processor.

use std::time::Duration;

use nisse_model::{Cpu, Fuel};
use nisse_sandbox::CpuBucket;

#[test]
fn a_full_bucket_is_one_second_of_the_share_and_an_empty_one_waits() {
    let bucket = CpuBucket::new(Cpu { millis: 250 }, Duration::ZERO);
    assert_eq!(bucket.charge(Fuel(249_999_999), Duration::ZERO), Duration::ZERO);
    assert!(bucket.charge(Fuel(1), Duration::ZERO) > Duration::ZERO);
    // 25 million too much are a tenth of a second at a quarter of a processor.
    let wait = bucket.charge(Fuel(25_000_000), Duration::ZERO);
    assert!((100..102).contains(&wait.as_millis()), "{wait:?}");
    assert_eq!(bucket.charge(Fuel(0), wait), Duration::ZERO);
}

#[test]
fn an_idle_bucket_never_holds_more_than_its_burst() {
    let bucket = CpuBucket::new(Cpu { millis: 1000 }, Duration::ZERO);
    let later = Duration::from_secs(3600);
    assert_eq!(bucket.charge(Fuel(999_999_999), later), Duration::ZERO);
    assert!(bucket.charge(Fuel(1), later) > Duration::ZERO);
}

#[test]
fn tiny_steps_of_time_are_not_rounded_away() {
    let bucket = CpuBucket::new(Cpu { millis: 1 }, Duration::ZERO);
    bucket.charge(Fuel(1_000_000), Duration::ZERO);
    for step in 1..=2_000_000u64 {
        bucket.charge(Fuel(0), Duration::from_nanos(step * 100));
    }
    // A thousandth of a processor earns 200,000 in 0.2 s.
    assert_eq!(bucket.charge(Fuel(199_000), Duration::from_millis(200)), Duration::ZERO);
}

#[test]
fn a_share_of_nothing_waits_for_ever_and_never_divides_by_zero() {
    let bucket = CpuBucket::new(Cpu { millis: 0 }, Duration::ZERO);
    assert_eq!(bucket.charge(Fuel(0), Duration::from_secs(9)), Duration::from_secs(1));
}
