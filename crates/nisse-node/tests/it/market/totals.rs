//! What happened in a world, or in all of them: a run in which something never happened has not tested it.

/// Counts, each with the words in which it is told.
macro_rules! counts {
    ($($field:ident: $words:literal,)*) => {
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub(super) struct Totals {
            $(pub(super) $field: u64,)*
        }

        impl Totals {
            fn all(&self) -> Vec<(&'static str, u64)> {
                vec![$(($words, self.$field)),*]
            }

            pub(super) fn add(&mut self, other: &Self) {
                $(self.$field += other.$field;)*
            }
        }
    };
}

counts! {
    worlds: "worlds",
    nodes: "honest nodes",
    orders: "orders",
    leases: "leases",
    honest_leases: "leases of honest nodes",
    reopenings: "reopenings",
    won_by_known: "orders for reputation won by nodes that have one",
    won_among_newcomers: "orders for reputation that only newcomers bid on",
    won_by_newcomers: "orders of the open fifth won by newcomers",
    griefers_slashed: "slashes of griefers",
    cut_off_slashed: "slashes of nodes out of touch",
    told: "silences told by honest nodes",
    accusations: "false accusations",
    fake_nodes: "fake nodes",
    price_shocks: "price shocks",
    partitions: "partitions",
    crashes: "crashes",
    reorganisations: "reorganisations",
    undone_blocks: "undone blocks",
    decisions: "decisions",
    heartbeats: "heartbeats of honest nodes",
    swaps: "swaps",
    sent: "transactions sent",
    lost: "transactions lost on the way",
    doubled: "transactions doubled on the way",
    reverted: "transactions reverted",
    counted: "times that all money was counted",
}

impl Totals {
    /// What never happened.
    pub(super) fn never(&self) -> Vec<&'static str> {
        self.all().into_iter().filter(|(_, count)| *count == 0).map(|(words, _)| words).collect()
    }
}

impl std::fmt::Display for Totals {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let told: Vec<String> = self.all().iter().map(|(words, count)| format!("{count} {words}")).collect();
        formatter.write_str(&told.join(", "))
    }
}
