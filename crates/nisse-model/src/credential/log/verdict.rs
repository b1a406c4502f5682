//! Yes, no, or not known yet: what the rules come to while some credentials are undecided.

/// Kleene's three values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    No,
    Unknown,
    Yes,
}

impl From<bool> for Verdict {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

impl std::ops::Not for Verdict {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Unknown => Self::Unknown,
            Self::Yes => Self::No,
        }
    }
}

/// What a rule came to, and the undecided credentials that it hangs on. It hangs on none when it is decided.
#[derive(Debug)]
pub(super) struct Finding {
    pub(super) verdict: Verdict,
    pub(super) hangs_on: Vec<usize>,
}

impl Finding {
    /// A rule that is decided.
    pub(super) fn of(holds: bool) -> Self {
        Self::of_verdict(holds.into())
    }

    /// One credential is, or is not, valid.
    pub(super) fn of_credential(place: usize, verdict: Verdict) -> Self {
        let hangs_on = if verdict == Verdict::Unknown { vec![place] } else { Vec::new() };
        Self { verdict, hangs_on }
    }

    /// Whether all hold; none is looked at behind one that does not.
    pub(super) fn all(findings: impl IntoIterator<Item = Self>) -> Self {
        Self::combine(findings, Verdict::No)
    }

    /// Whether any holds; none is looked at behind one that does.
    pub(super) fn any(findings: impl IntoIterator<Item = Self>) -> Self {
        Self::combine(findings, Verdict::Yes)
    }

    fn combine(findings: impl IntoIterator<Item = Self>, decides: Verdict) -> Self {
        let mut hangs_on = Vec::new();
        for finding in findings {
            if finding.verdict == decides {
                return Self::of_verdict(decides);
            }
            hangs_on.extend(finding.hangs_on);
        }
        if hangs_on.is_empty() {
            return Self::of_verdict(!decides);
        }
        Self { verdict: Verdict::Unknown, hangs_on }
    }

    fn of_verdict(verdict: Verdict) -> Self {
        Self { verdict, hangs_on: Vec::new() }
    }
}

impl std::ops::Not for Finding {
    type Output = Self;

    fn not(self) -> Self {
        Self { verdict: !self.verdict, hangs_on: self.hangs_on }
    }
}
