//! Any row at all: no panic, and the rules an oracle written without garde, caches or tricks finds broken.

use chrono::{DateTime, TimeDelta, Timelike, Utc};
use market::{SessionPhase, StockRow, phase_of};
use proptest::option::weighted;
use proptest::prelude::*;
use quality::{Limits, Rule, RuleSet, Severity, Verdict, check_row};
use rust_decimal::Decimal;

fn now() -> DateTime<Utc> {
    "2024-01-16T20:00:00Z".parse().expect("the instant is well-formed")
}

fn any_time() -> impl Strategy<Value = DateTime<Utc>> {
    prop_oneof![
        // around the fortnight of `now`, on minutes and off them
        (-20_000i64..2_000).prop_map(|minutes| now() + TimeDelta::minutes(minutes)),
        (-1_000_000i64..100_000).prop_map(|seconds| now() + TimeDelta::seconds(seconds)),
        // the years that have a calendar
        (-2_208_988_800i64..7_258_118_400)
            .prop_map(|seconds| DateTime::from_timestamp(seconds, 0).expect("the year is known")),
    ]
}

fn any_price() -> impl Strategy<Value = Decimal> {
    prop_oneof![
        6 => (-5i64..400_000, 0u32..4).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale)),
        1 => (any::<i64>(), 0u32..28).prop_map(|(mantissa, scale)| Decimal::new(mantissa, scale)),
        1 => (any::<u32>(), any::<u32>(), any::<u32>(), any::<bool>(), 0u32..=28)
            .prop_map(|(low, middle, high, negative, scale)| Decimal::from_parts(low, middle, high, negative, scale)),
    ]
}

fn any_symbol() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Z][A-Z0-9.-]{0,16}", any::<String>()]
}

fn any_row() -> impl Strategy<Value = StockRow> {
    let price = || weighted(0.95, any_price());
    let prices = prop_oneof![
        (price(), price(), price(), price()).boxed(),
        // a well-formed candle
        (1i64..1_000_000, 0i64..100, 0i64..100, 0i64..100)
            .prop_map(|(low, a, b, c)| {
                let price = |cents| Some(Decimal::new(cents, 2));
                let (open, close) = (low + a, low + b);
                (price(open), price(open.max(close) + c), price(low), price(close))
            })
            .boxed(),
    ];
    let volume = prop_oneof![0i64..100_000, any::<i64>()];
    let symbol = weighted(0.95, any_symbol());
    (weighted(0.95, any_time()), prices, weighted(0.95, volume), proptest::bool::weighted(0.1), symbol).prop_map(
        |(time, (open, high, low, close), volume, volume_fractional, symbol)| StockRow {
            record_id: 1,
            time,
            open,
            high,
            low,
            close,
            volume,
            volume_fractional: volume_fractional && volume.is_some(),
            symbol: symbol.map(Into::into),
            event_time: None,
        },
    )
}

fn broken(rule: Rule, row: &StockRow, limits: &Limits) -> bool {
    let prices: Vec<Decimal> = [row.open, row.high, row.low, row.close].into_iter().flatten().collect();
    match rule {
        Rule::Complete => prices.len() < 4 || row.time.is_none() || row.volume.is_none() || row.symbol.is_none(),
        Rule::Envelope => {
            let exceeds =
                |less: Option<Decimal>, more: Option<Decimal>| matches!((less, more), (Some(l), Some(m)) if l > m);
            exceeds(row.low, row.high)
                || exceeds(row.low, row.open)
                || exceeds(row.low, row.close)
                || exceeds(row.open, row.high)
                || exceeds(row.close, row.high)
        }
        Rule::PositivePrice => prices.iter().any(|&price| price <= Decimal::ZERO),
        Rule::VolumeNotNegative => row.volume.is_some_and(|volume| volume < 0),
        Rule::VolumeIntegral => row.volume_fractional,
        Rule::WholeMinute => row.time.is_some_and(|time| time.second() != 0 || time.nanosecond() != 0),
        Rule::SessionMinute => row.time.is_some_and(|time| phase_of(time) != SessionPhase::Regular),
        Rule::NotInFuture => row.time.is_some_and(|time| time - limits.now > limits.future_tolerance),
        Rule::SymbolPattern => row.symbol.as_ref().is_some_and(|symbol| symbol.parse::<market::Symbol>().is_err()),
        Rule::PriceRange => {
            let limit = Decimal::from(100_000_000_000_000i64);
            prices.iter().any(|price| price.abs() >= limit || *price != price.trunc_with_scale(10))
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn the_verdict_is_that_of_the_oracle(row in any_row()) {
        let limits = Limits { now: now(), future_tolerance: TimeDelta::minutes(5) };
        let expected: RuleSet = Rule::ALL.into_iter().filter(|&rule| broken(rule, &row, &limits)).collect();
        let verdict = check_row(&row, &limits);
        prop_assert_eq!(verdict.rules(), expected);
        let critical = expected.iter().any(|rule| rule.severity() == Severity::Critical);
        match &verdict {
            Verdict::Accepted => prop_assert!(expected.is_empty()),
            Verdict::Tagged(_) => prop_assert!(!expected.is_empty() && !critical),
            Verdict::Rejected(_) => prop_assert!(critical),
        }
        if !critical {
            prop_assert!(row.bar().is_some(), "a row that may be stored is a bar");
        }
        for violation in verdict.violations() {
            prop_assert!(violation.severity <= violation.rule.severity());
            prop_assert!(violation.message.starts_with(violation.column.expect("every rule names its column")));
        }
    }

    #[test]
    fn no_time_makes_the_rules_panic(seconds in any::<i64>(), nanos in 0u32..2_000_000_000) {
        let time = DateTime::from_timestamp(seconds % 8_300_000_000_000, nanos);
        let limits = Limits { now: now(), future_tolerance: TimeDelta::zero() };
        let verdict = check_row(&StockRow { time, ..StockRow::default() }, &limits);
        prop_assert!(matches!(verdict, Verdict::Rejected(_)));
    }
}
