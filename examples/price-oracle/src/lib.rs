//! `talos.oracle.price-eth`: fetches prices on an alarm, keeps them, answers them over HTTP and publishes them on chain.
//!
//! What to fetch stands in a JSON file on IPFS, `[{ "id": "ethereum", "symbol": "ETH" }]`, whose CID is in `config:`.
use nisse_sdk::state::StateError;
use nisse_sdk::{Failure, Handler, Invocation, Json, Outcome, alarm, chain, config, http, ipfs, log, state};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::time::Duration;

const API: &str = "https://api.coingecko.com/api/v3/simple/price";
const ANSWER_BYTES_MAX: usize = 64 * 1024;
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// As price feeds on chain have it.
const DECIMALS: u8 = 8;
const HISTORY_MAX: usize = 288;
const INTERVAL_SECONDS: u64 = 60;
const BACK_OFF_MAX: Duration = Duration::from_secs(3600);

#[derive(Deserialize)]
struct Config {
    assets: Option<String>,
    #[serde(default = "interval_seconds")]
    interval_seconds: u64,
}

fn interval_seconds() -> u64 {
    INTERVAL_SECONDS
}

#[derive(Deserialize)]
struct Asset {
    id: String,
    symbol: String,
}

#[derive(Clone, Serialize, Deserialize)]
struct Price {
    pair: String,
    price: f64,
    /// Milliseconds since 1970, by the node's clock.
    time: u64,
    source: String,
    published: Option<String>,
}

struct Oracle;

impl Handler for Oracle {
    fn handle(Invocation { event, .. }: Invocation) -> Result<Outcome, Failure> {
        if event.is_started() {
            alarm::at(event.time)?;
            return Ok(Outcome::empty());
        }
        let config: Config = config::read()?;
        let interval = Duration::from_secs(config.interval_seconds.max(1));
        // The alarm is set whatever happens: a failure is an outcome here, since a failed invocation keeps nothing.
        let (outcome, failures) = match update(&config, event.time) {
            Ok(latest) => (Outcome::json(&latest)?, 0),
            Err(error) => {
                log::warn(&error.text);
                (Outcome::text(error.text), state::get::<u64>("failures")?.unwrap_or(0) + 1)
            }
        };
        state::put("failures", &failures)?;
        alarm::after(interval.saturating_mul(1 << failures.min(16)).min(BACK_OFF_MAX.max(interval)))?;
        Ok(outcome)
    }
}

/// Fetches, keeps and publishes the price of every asset.
fn update(config: &Config, time: u64) -> Result<Vec<Price>, Failure> {
    let cid = config.assets.as_ref().ok_or_else(|| Failure::permanent("`config` names no `assets`"))?;
    let assets: Vec<Asset> = parse("asset list", &ipfs::read(cid)?)?;
    let ids: Vec<&str> = assets.iter().map(|asset| asset.id.as_str()).collect();
    let url = format!("{API}?ids={}&vs_currencies=usd", ids.join(","));
    let request = http::Fetch::new(http::Method::Get, &url).header("accept", "application/json");
    let answer = request.limit_bytes(ANSWER_BYTES_MAX).timeout(ANSWER_TIMEOUT).send()?;
    if answer.status != 200 {
        return Err(Failure::retryable(format!("{API} answered {}", answer.status)));
    }
    let prices: BTreeMap<String, BTreeMap<String, f64>> = parse("answer", &answer.body)?;
    let mut latest = Vec::new();
    for Asset { id, symbol } in assets {
        let price = prices.get(&id).and_then(|price| price.get("usd")).copied().filter(|price| *price > 0.0);
        let price = price.ok_or_else(|| Failure::retryable(format!("{API} gives no price of {id}")))?;
        latest.push(Price { pair: format!("{symbol}/USD"), price, time, source: url.clone(), published: None });
    }
    for Price { pair, price, published, .. } in &mut latest {
        let value = (*price * 10f64.powi(DECIMALS.into())).round() as i64;
        *published = chain::publish(pair, value, DECIMALS).inspect_err(|error| log::warn(error.to_string())).ok();
        log::info(format!("{pair} {price}"));
    }
    let mut history = state::get::<Json<Vec<Price>>>("history")?.map_or_else(Vec::new, |Json(history)| history);
    history.extend(latest.iter().cloned());
    history.drain(..history.len().saturating_sub(HISTORY_MAX));
    state::put("history", &Json(history))?;
    state::put("latest", &Json(latest.clone()))?;
    Ok(latest)
}

fn parse<T: for<'a> Deserialize<'a>>(what: &str, json: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(json).map_err(|error| Failure::retryable(format!("read the {what}: {error}")))
}

impl http::Serve for Oracle {
    fn serve(request: http::Request) -> http::Response {
        let key = match (request.method(), request.path()) {
            (http::Method::Get | http::Method::Head, "/" | "/price") => "latest",
            (http::Method::Get | http::Method::Head, "/history") => "history",
            _ => return http::Response::text(404, "there is: GET /price, GET /history\n"),
        };
        match answer(key) {
            Ok(response) => response,
            Err(error) => http::Response::text(503, format!("failed to {error}\n")),
        }
    }
}

fn answer(key: &str) -> Result<http::Response, StateError> {
    let Some(Json(mut prices)) = state::get::<Json<Vec<Price>>>(key)? else {
        let text = "no price has been fetched yet; `nisse logs` tells why if this lasts\n";
        return Ok(http::Response::text(503, text).with_header("retry-after", "10"));
    };
    Ok(match (key, prices.len()) {
        ("latest", 1) => http::Response::json(200, &prices.remove(0)),
        _ => http::Response::json(200, &prices),
    })
}

nisse_sdk::export!(Oracle);
