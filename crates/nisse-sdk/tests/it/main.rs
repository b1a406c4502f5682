//! The committed examples: what a fresh clone deploys is sealed, well-formed and works.

mod packages;
mod price_oracle;
mod requests;
