//! Made-up one-minute bars that look like a market: sessions and holidays, overnight gaps, a U-shaped smile of volume and
//! volatility, stocks that move with the market. Wherever they show they are labelled as simulated.
//!
//! A bar is a function of seed, symbol and minute alone: nothing depends on what was asked before. Only additions,
//! multiplications, divisions and square roots are used, which IEEE 754 defines to the last bit, so that a seed means
//! the same bars on every machine.

use chrono::{Datelike, NaiveDate, TimeDelta};
use market::{Bar, Session, Symbol, session_on};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rust_decimal::Decimal;

/// The day before the first one that has bars; prices start from [`Stock::start`] there.
const ORIGIN: NaiveDate = NaiveDate::from_ymd_opt(2023, 1, 1).expect("the date exists");
/// Standard deviation of the market's return from close to close.
const MARKET_SIGMA: f64 = 0.009;
/// How much of a day's variance happens overnight.
const OVERNIGHT: f64 = 0.3;
/// How much of its distance from the start a price loses each day: keeps levels plausible for years.
const REVERSION: f64 = 0.004;
/// The stream of random numbers that is the market's, not a stock's.
const MARKET: usize = usize::MAX;

struct Stock {
    symbol: &'static str,
    /// Price at the origin, in dollars.
    start: f64,
    /// Return for each unit of the market's.
    beta: f64,
    /// Standard deviation of the daily return that is the stock's own.
    sigma: f64,
    /// Shares in a full session.
    daily_volume: f64,
}

/// Levels, betas and volumes of about 2024; rounded, not measured.
const STOCKS: [Stock; 10] = [
    Stock { symbol: "AMZN", start: 153.0, beta: 1.25, sigma: 0.014, daily_volume: 45e6 },
    Stock { symbol: "AAPL", start: 186.0, beta: 1.10, sigma: 0.010, daily_volume: 55e6 },
    Stock { symbol: "MSFT", start: 372.0, beta: 1.05, sigma: 0.009, daily_volume: 22e6 },
    Stock { symbol: "NVDA", start: 118.0, beta: 1.80, sigma: 0.022, daily_volume: 180e6 },
    Stock { symbol: "GOOGL", start: 140.0, beta: 1.10, sigma: 0.012, daily_volume: 28e6 },
    Stock { symbol: "META", start: 348.0, beta: 1.30, sigma: 0.016, daily_volume: 15e6 },
    Stock { symbol: "TSLA", start: 238.0, beta: 1.80, sigma: 0.028, daily_volume: 95e6 },
    Stock { symbol: "JPM", start: 172.0, beta: 0.90, sigma: 0.009, daily_volume: 9e6 },
    Stock { symbol: "XOM", start: 104.0, beta: 0.60, sigma: 0.012, daily_volume: 15e6 },
    Stock { symbol: "SPY", start: 472.0, beta: 1.00, sigma: 0.0008, daily_volume: 70e6 },
];

/// Makes bars, session by session.
pub struct Generator {
    seed: u64,
    symbols: [Symbol; STOCKS.len()],
    /// For each trading day since the origin: the logarithm of price over start, per stock, at its open and its close.
    days: Vec<(NaiveDate, [Levels; STOCKS.len()])>,
}

#[derive(Clone, Copy, Default)]
struct Levels {
    open: f64,
    close: f64,
}

impl Generator {
    pub fn new(seed: u64) -> Self {
        let symbols = STOCKS.each_ref().map(|stock| stock.symbol.parse().expect("the symbols are tickers"));
        Self { seed, symbols, days: Vec::new() }
    }

    /// The symbols it makes bars for.
    pub fn symbols(&self) -> &[Symbol] {
        &self.symbols
    }

    /// All bars of the regular session of a day, by time and then symbol; none when the exchange is closed, and none
    /// before 2023.
    pub fn session(&mut self, date: NaiveDate) -> Vec<(Symbol, Bar)> {
        let (Some(session), Some(levels)) = (session_on(date), self.levels(date)) else {
            return Vec::new();
        };
        let minutes = (session.close - session.open).num_minutes().max(0) as usize;
        let smile = Smile::of(minutes);
        let market = smile.path(&mut self.stream(MARKET, date));
        let columns: Vec<Vec<Bar>> = (0..STOCKS.len())
            .map(|index| day(&STOCKS[index], levels[index], &session, &smile, &market, &mut self.stream(index, date)))
            .collect();
        let by_minute =
            |minute: usize| columns.iter().zip(&self.symbols).map(move |(bars, symbol)| (symbol.clone(), bars[minute]));
        (0..minutes).flat_map(by_minute).collect()
    }

    fn levels(&mut self, date: NaiveDate) -> Option<[Levels; STOCKS.len()]> {
        let (mut last, mut levels) = self.days.last().copied().unwrap_or((ORIGIN, Default::default()));
        while last < date {
            last = last.succ_opt()?;
            if session_on(last).is_none() {
                continue;
            }
            let mut market = self.stream(MARKET, last);
            let (market_night, market_day) = (normal(&mut market), normal(&mut market));
            for (index, stock) in STOCKS.iter().enumerate() {
                let mut own = self.stream(index, last);
                let move_of = |market: f64, own: f64, share: f64| {
                    (stock.beta * MARKET_SIGMA * market + stock.sigma * own) * share.sqrt()
                };
                let level = &mut levels[index];
                level.open = level.close * (1.0 - REVERSION) + move_of(market_night, normal(&mut own), OVERNIGHT);
                level.close = level.open + move_of(market_day, normal(&mut own), 1.0 - OVERNIGHT);
            }
            self.days.push((last, levels));
        }
        let found = self.days.binary_search_by_key(&date, |(day, _)| *day).ok()?;
        Some(self.days[found].1)
    }

    /// Random numbers of one stock (or of the market) and day.
    fn stream(&self, index: usize, date: NaiveDate) -> ChaCha8Rng {
        let mut stream = ChaCha8Rng::seed_from_u64(self.seed);
        let number = index.wrapping_add(1) as u64;
        stream.set_stream(number << 32 | u64::from(date.num_days_from_ce().unsigned_abs()));
        // The first numbers decide the day's moves, the others its minutes.
        stream
    }
}

/// How much of a session's volume and variance falls on each minute.
struct Smile {
    /// Sums to 1.
    volume: Vec<f64>,
    /// Sums to 1.
    variance: Vec<f64>,
}

impl Smile {
    fn of(minutes: usize) -> Self {
        let shape = |depth: f64, opening: f64| {
            let raw: Vec<f64> = (0..minutes)
                .map(|minute| {
                    let side = 2.0 * (minute as f64 + 0.5) / minutes as f64 - 1.0;
                    let first = if minute == 0 { opening } else { 0.0 };
                    1.0 + depth * side * side * side * side + first
                })
                .collect();
            let sum: f64 = raw.iter().sum();
            raw.into_iter().map(|share| share / sum).collect()
        };
        Self { volume: shape(3.0, 6.0), variance: shape(4.0, 3.0) }
    }

    /// A walk that begins and ends at 0, as standard deviations of a whole session: its values after each minute.
    fn path(&self, random: &mut ChaCha8Rng) -> Vec<f64> {
        skip_daily(random);
        let mut at = 0.0;
        let walk: Vec<f64> = self
            .variance
            .iter()
            .map(|share| {
                at += share.sqrt() * normal(random);
                at
            })
            .collect();
        let mut passed = 0.0;
        walk.iter()
            .zip(&self.variance)
            .map(|(value, share)| {
                passed += share;
                value - passed * at
            })
            .collect()
    }
}

/// One stock's session.
fn day(
    stock: &Stock,
    levels: Levels,
    session: &Session,
    smile: &Smile,
    market: &[f64],
    random: &mut ChaCha8Rng,
) -> Vec<Bar> {
    let own = smile.path(random);
    let whole_day = levels.close - levels.open;
    let sigma = (1.0 - OVERNIGHT).sqrt();
    // A half day trades less in all, though more a minute.
    let busy = (own.len() as f64 / 390.0).sqrt() * (0.75 + 0.5 * random.random::<f64>());
    let mut passed = 0.0;
    let mut last = cents(stock.start * exp(levels.open));
    own.iter()
        .enumerate()
        .map(|(minute, own)| {
            passed += smile.variance[minute];
            let wander = sigma * (stock.beta * MARKET_SIGMA * market[minute] + stock.sigma * own);
            let price = stock.start * exp(levels.open + passed * whole_day + wander);
            // Trades alternate between bid and ask: an open is rarely the close before it to the cent.
            let open = (last + random.random_range(-1..=1)).max(1);
            let close = cents(price);
            let total = stock.beta * MARKET_SIGMA + stock.sigma;
            let reach = price * total * smile.variance[minute].sqrt();
            let high = open.max(close) + cents_of(reach * 0.8 * random.random::<f64>());
            let low = (open.min(close) - cents_of(reach * 0.8 * random.random::<f64>())).max(1);
            let liveliness =
                0.4 + 0.8 * random.random::<f64>() + 0.4 * ((close - open).abs() as f64 / (100.0 * reach)).min(3.0);
            let volume = (stock.daily_volume * busy * smile.volume[minute] * liveliness) as i64;
            last = close;
            let dollars = |cents: i64| Decimal::new(cents, 2);
            Bar {
                time: session.open + TimeDelta::minutes(minute as i64),
                open: dollars(open),
                high: dollars(high),
                low: dollars(low),
                close: dollars(close),
                volume: volume.max(1),
            }
        })
        .collect()
}

fn cents(dollars: f64) -> i64 {
    cents_of(dollars).max(1)
}

fn cents_of(dollars: f64) -> i64 {
    (dollars * 100.0 + 0.5) as i64
}

/// Approximately normal, by the sum of twelve uniform numbers (Irwin–Hall): needs no logarithm.
fn normal(random: &mut ChaCha8Rng) -> f64 {
    (0..12).map(|_| random.random::<f64>()).sum::<f64>() - 6.0
}

/// Passes over the numbers that [`Generator::levels`] used.
fn skip_daily(random: &mut ChaCha8Rng) {
    for _ in 0..2 {
        normal(random);
    }
}

/// e^x for |x| of a few units, by its series: the standard library's differs in the last bit from machine to machine.
fn exp(x: f64) -> f64 {
    (1..=24).rev().fold(1.0, |sum, n| 1.0 + sum * x / f64::from(n))
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::Weekday;
    use proptest::prelude::*;
    use xxhash_rust::xxh3::xxh3_64;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn text(bars: &[(Symbol, Bar)]) -> String {
        bars.iter()
            .map(|(symbol, bar)| {
                let Bar { time, open, high, low, close, volume } = bar;
                format!("{symbol} {} {open} {high} {low} {close} {volume}\n", time.timestamp())
            })
            .collect()
    }

    #[test]
    fn a_seed_always_means_the_same_bars() {
        let bars = Generator::new(7).session(date("2026-03-10"));
        assert_eq!(bars.len(), 3900);
        let hash = xxh3_64(text(&bars).as_bytes());
        assert_eq!(format!("{hash:016x}"), "f32332aa3982e873", "first bars:\n{}", text(&bars[..3]));
    }

    #[test]
    fn a_session_does_not_depend_on_what_was_asked_before() {
        let mut seen = Generator::new(7);
        seen.session(date("2024-05-02"));
        seen.session(date("2026-05-01"));
        assert_eq!(seen.session(date("2025-05-01")), Generator::new(7).session(date("2025-05-01")));
        assert_ne!(seen.session(date("2025-05-01")), Generator::new(8).session(date("2025-05-01")));
    }

    #[test]
    fn there_are_no_bars_when_the_exchange_is_closed_and_fewer_on_half_days() {
        let mut generator = Generator::new(1);
        assert!(generator.session(date("2024-01-15")).is_empty());
        assert!(generator.session(date("2024-01-13")).is_empty());
        assert!(generator.session(date("2022-12-30")).is_empty());
        assert_eq!(generator.session(date("2024-11-29")).len(), 210 * 10);
    }

    #[test]
    fn prices_stay_plausible_for_years() {
        let mut generator = Generator::new(42);
        for year in [2023, 2026, 2030] {
            let bars = generator.session(NaiveDate::from_weekday_of_month_opt(year, 3, Weekday::Wed, 2).unwrap());
            for (stock, (symbol, bar)) in STOCKS.iter().zip(&bars) {
                assert_eq!(symbol.as_str(), stock.symbol);
                let ratio = f64::try_from(bar.close).unwrap() / stock.start;
                assert!((0.2..5.0).contains(&ratio), "{symbol} {year}: {}", bar.close);
            }
        }
    }

    #[test]
    fn stocks_move_with_the_market_and_trade_most_at_the_edges_of_the_day() {
        let mut generator = Generator::new(3);
        let (mut together, mut days) = (0, 0);
        let (mut edges, mut middle) = (0, 0);
        for date in date("2025-01-01").iter_days().take(120) {
            let bars = generator.session(date);
            if bars.len() != 3900 {
                continue;
            }
            let day_move = |index: usize| bars[bars.len() - 10 + index].1.close - bars[index].1.open;
            days += 1;
            together += usize::from(day_move(0).is_sign_negative() == day_move(9).is_sign_negative());
            let volume = |minutes: std::ops::Range<usize>| -> i64 {
                bars[minutes.start * 10..minutes.end * 10].iter().map(|(_, bar)| bar.volume).sum()
            };
            edges += volume(0..30) + volume(360..390);
            middle += volume(165..225);
        }
        assert!(days > 75);
        assert!(together * 100 > days * 60, "AMZN went with SPY on {together} of {days} days");
        assert!(edges > middle * 2, "{edges} {middle}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]

        #[test]
        fn every_bar_passes_the_rules_of_a_bar(seed in any::<u64>(), day in 1i64..1500) {
            let date = ORIGIN + TimeDelta::days(day);
            let session = session_on(date);
            let bars = Generator::new(seed).session(date);
            prop_assert_eq!(bars.is_empty(), session.is_none());
            for (_, bar) in &bars {
                prop_assert!(bar.low > Decimal::ZERO && bar.volume > 0);
                prop_assert!(bar.low <= bar.open.min(bar.close) && bar.open.max(bar.close) <= bar.high);
                prop_assert!(bar.open.scale() == 2 && bar.close.scale() == 2);
                let session = session.unwrap();
                prop_assert!(session.open <= bar.time && bar.time < session.close && bar.time.timestamp() % 60 == 0);
                prop_assert!(bar.high < bar.low * Decimal::new(12, 1), "a minute spans less than a fifth of the price");
            }
            prop_assert!(bars.windows(2).all(|pair| pair[0].1.time <= pair[1].1.time));
        }
    }
}
