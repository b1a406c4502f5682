//! What one hour costs: by what an agent takes, never below a floor, and more the less there is left.

use nisse_model::{AmountPerHour, Resources};

use crate::policy::Capacity;

const GIB: u128 = 1 << 30;
/// The whole, in thousandths.
const WHOLE: u128 = 1_000;

/// The operator's price list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Prices {
    /// The least that an hour costs, whatever the size.
    pub floor: AmountPerHour,
    /// One whole processor.
    pub cpu: AmountPerHour,
    /// One GiB of memory.
    pub memory: AmountPerHour,
    /// What the last free processor or byte costs more than the first, in percent: the price rises with what is lent.
    pub load_percent: u32,
}

impl Prices {
    /// One price for every size.
    pub fn flat(price: AmountPerHour) -> Self {
        Self { floor: price, ..Self::default() }
    }

    /// What an hour of `asked` costs while `used` is lent already; rounded up to the smallest unit.
    pub(crate) fn ask(&self, asked: Resources, used: Resources, capacity: &Capacity) -> AmountPerHour {
        let part = |price: AmountPerHour, size: u128, whole: u128| share(price.0, size, whole);
        let parts = part(self.cpu, u128::from(asked.cpu.millis), WHOLE).saturating_add(part(
            self.memory,
            u128::from(asked.memory.0),
            GIB,
        ));
        let price = parts.max(self.floor.0);
        let more = share(price, u128::from(self.load_percent) * load(asked, used, capacity), 100 * WHOLE);
        AmountPerHour(price.saturating_add(more))
    }

    /// Whether what was `asked` under load could be no more than this where nothing else is lent.
    pub(crate) fn may_fall_to(&self, asked: AmountPerHour, offered: AmountPerHour) -> bool {
        let most = share(offered.0, 100 + u128::from(self.load_percent), 100);
        self.load_percent > 0 && asked.0 <= most
    }
}

/// What is lent once `asked` is, of whichever is scarcer, in thousandths of all.
fn load(asked: Resources, used: Resources, capacity: &Capacity) -> u128 {
    let of = |asked: u64, used: u64, all: u64| {
        let lent = u128::from(asked) + u128::from(used);
        (lent * WHOLE).checked_div(u128::from(all)).unwrap_or(WHOLE).min(WHOLE)
    };
    let cpu = of(asked.cpu.millis.into(), used.cpu.millis.into(), capacity.cpu.millis.into());
    cpu.max(of(asked.memory.0, used.memory.0, capacity.memory.0))
}

/// `price · size ÷ whole`, rounded up. A price whose product has no room is one that nobody pays.
fn share(price: u128, size: u128, whole: u128) -> u128 {
    price.checked_mul(size).map_or(u128::MAX, |product| product.div_ceil(whole))
}

#[cfg(test)]
mod tests {
    use nisse_model::{Amount, ByteSize, Cpu};
    use proptest::prelude::*;

    use super::*;

    const CAPACITY: Capacity = Capacity { cpu: Cpu { millis: 4_000 }, memory: ByteSize(8 << 30), gpu: false };
    const NOTHING: Resources = Resources { cpu: Cpu { millis: 0 }, memory: ByteSize(0), gpu: false };

    fn talos(amount: u128) -> AmountPerHour {
        AmountPerHour(amount * Amount::TALOS.0)
    }

    fn size(millis: u32, mib: u64) -> Resources {
        Resources { cpu: Cpu { millis }, memory: ByteSize(mib << 20), gpu: false }
    }

    #[test]
    fn an_hour_costs_what_is_taken_and_never_less_than_the_floor() {
        let prices = Prices { floor: talos(5), cpu: talos(8), memory: talos(4), load_percent: 0 };
        let ask = |asked: Resources| prices.ask(asked, NOTHING, &CAPACITY);
        assert_eq!(ask(size(100, 64)), talos(5), "0.8 and 0.25 are below the floor");
        assert_eq!(ask(size(1_000, 512)), talos(10));
        assert_eq!(Prices::flat(talos(50)).ask(size(4_000, 8_192), NOTHING, &CAPACITY), talos(50));
        let odd = Prices { cpu: AmountPerHour(1), ..Prices::default() };
        assert_eq!(odd.ask(size(1, 0), NOTHING, &CAPACITY), AmountPerHour(1), "rounded up");
    }

    #[test]
    fn what_is_scarce_costs_more() {
        let prices = Prices { floor: talos(10), load_percent: 200, ..Prices::default() };
        let ask = |asked: Resources, used: Resources| prices.ask(asked, used, &CAPACITY);
        assert_eq!(ask(size(1_000, 0), NOTHING), talos(15), "a quarter of 200 % more");
        assert_eq!(ask(size(1_000, 0), size(3_000, 0)), talos(30), "the last one");
        assert_eq!(ask(size(1_000, 0), size(0, 6_144)), talos(25), "memory is scarcer");
        assert!(prices.may_fall_to(talos(30), talos(10)) && !prices.may_fall_to(talos(30), talos(9)));
        assert!(!Prices::flat(talos(10)).may_fall_to(talos(10), talos(10)), "it never changes");
        let nothing_to_lend = Capacity { cpu: Cpu { millis: 0 }, memory: ByteSize(0), gpu: false };
        assert_eq!(prices.ask(NOTHING, NOTHING, &nothing_to_lend), talos(30));
    }

    proptest! {
        #[test]
        fn more_never_costs_less_and_nothing_overflows(
            prices in prop::array::uniform3(any::<u128>()),
            load_percent: u32,
            asked in (any::<u32>(), any::<u64>()),
            more in (any::<u32>(), any::<u64>()),
            used in (any::<u32>(), any::<u64>()),
        ) {
            let [floor, cpu, memory] = prices.map(AmountPerHour);
            let prices = Prices { floor, cpu, memory, load_percent };
            let resources = |(millis, bytes): (u32, u64)| {
                Resources { cpu: Cpu { millis }, memory: ByteSize(bytes), gpu: false }
            };
            let larger = (asked.0.saturating_add(more.0), asked.1.saturating_add(more.1));
            let ask = |asked| prices.ask(resources(asked), resources(used), &CAPACITY);
            prop_assert!(ask(asked) >= floor);
            prop_assert!(ask(larger) >= ask(asked));
        }
    }
}
