//! What befalls the world: nodes are cut off, die and come back, prices jump, and blocks leave the chain.

use nisse_testkit::Random;

use super::node::{Fall, Node};
use super::scene::{Happening, Scene};

/// The longest time that a node is cut off, or down.
const CUT_MS_MAX: u64 = 1_500_000;
const DOWN_MS_MAX: u64 = 1_200_000;
/// Most blocks that leave the chain at once.
const DEPTH_MAX: usize = 6;

/// The longest time between two things that befall a world: each has a climate of its own.
pub(super) const CLIMATES_MS: [u64; 4] = [100_000, 200_000, 500_000, 1_500_000];

pub(super) fn befalls(scene: &mut Scene, nodes: &mut [Node]) {
    match scene.random.below(16) {
        0..=3 => cut_off(scene, nodes),
        4..=8 => dies(scene, nodes),
        9..=11 => reorganises(scene, nodes),
        12 => {
            let (index, draining) = (scene.random.index(nodes.len()), scene.random.once_in(3));
            nodes[index].drain(scene, draining);
        }
        _ => {}
    }
}

/// All prices of honest nodes jump: they start again with others.
pub(super) fn price_shock(scene: &mut Scene, nodes: &mut [Node]) {
    scene.totals.price_shocks += 1;
    let percent = *scene.random.pick(&[20, 50, 150, 200, 400, 1_000]);
    scene.tell(|| format!("prices go to {percent} %"));
    for node in nodes {
        node.is_to_fall(scene, None, 2_000);
        node.reprice(percent);
    }
}

/// Everything comes back, and nothing goes any more.
pub(super) fn heals(scene: &mut Scene, nodes: &mut [Node]) {
    scene.healed = true;
    scene.tell(|| "the world is healed".to_owned());
    for node in nodes {
        node.heals(scene);
    }
}

fn long(random: &mut Random, most: u64) -> u64 {
    // Short ones are as many as long ones.
    let most = *random.pick(&[most / 40, most / 4, most]);
    1_000 + random.below(most)
}

fn cut_off(scene: &mut Scene, nodes: &mut [Node]) {
    scene.totals.partitions += 1;
    let for_ms = long(&mut scene.random, CUT_MS_MAX);
    let one_in = *scene.random.pick(&[1, 2, 2, 4, 8]);
    scene.tell(|| format!("one node in {one_in} is cut off for {} s", for_ms / 1_000));
    let certain = scene.random.index(nodes.len());
    for (index, node) in nodes.iter_mut().enumerate() {
        if index == certain || scene.random.once_in(one_in) {
            node.cut_until = node.cut_until.max(scene.now + for_ms);
            node.retouch(scene);
            scene.in_ms(for_ms, Happening::Reaches(index));
        }
    }
}

fn dies(scene: &mut Scene, nodes: &mut [Node]) {
    let down_ms = long(&mut scene.random, DOWN_MS_MAX);
    let index = scene.random.index(nodes.len());
    let fall = *scene.random.pick(&[None, Some(Fall::BeforeItIsDurable), Some(Fall::BeforeItIsDone)]);
    nodes[index].is_to_fall(scene, fall, down_ms);
}

fn reorganises(scene: &mut Scene, nodes: &mut [Node]) {
    let depth = *scene.random.pick(&[1, 1, 1, 2, 2, DEPTH_MAX]);
    if scene.chain.height() <= DEPTH_MAX + 1 {
        return;
    }
    scene.totals.reorganisations += 1;
    scene.totals.undone_blocks += depth as u64;
    scene.tell(|| format!("{depth} blocks leave the chain"));
    scene.chain.reorganise(depth, &mut scene.random);
    for node in nodes {
        node.is_to_look(scene);
    }
}
