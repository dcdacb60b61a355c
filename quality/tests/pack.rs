//! The rules beyond the row, on bars made by hand.

use chrono::{DateTime, TimeDelta, Utc};
use market::{Severity, Symbol};
use quality::pack::{
    Found, Pack, PackRow, PackRule, PackSettings, RuleSettings, judge, judge_freshness, judge_silence, markdown,
    missing_between,
};
use rust_decimal::{Decimal, dec};

fn at(text: &str) -> DateTime<Utc> {
    text.parse().expect("the instant is well-formed")
}

fn amzn() -> Symbol {
    "AMZN".parse().expect("a ticker")
}

/// A bar around `close` that was received when its minute was over.
fn bar(time: DateTime<Utc>, close: Decimal) -> PackRow {
    let done = time + TimeDelta::minutes(1);
    PackRow {
        time,
        open: close - dec!(0.02),
        high: close + dec!(0.05),
        low: close - dec!(0.06),
        close,
        volume: 10_000,
        event_time: done,
        received_at: done + TimeDelta::milliseconds(40),
    }
}

/// `n` bars from `start` on, minute by minute, that move a little up and down.
fn calm(start: &str, n: i64) -> Vec<PackRow> {
    let wave = [0, 3, 5, 2, -1, -4, -2, 1];
    (0..n)
        .map(|minute| {
            let close = dec!(153.40) + Decimal::new(wave[minute as usize % wave.len()], 2);
            let volume = 10_000 + 1_500 * wave[(minute * 3) as usize % wave.len()];
            PackRow { volume, ..bar(at(start) + TimeDelta::minutes(minute), close) }
        })
        .collect()
}

fn times(price: Decimal, factor: Decimal) -> Decimal {
    price * factor
}

fn scaled(row: PackRow, factor: Decimal) -> PackRow {
    PackRow {
        open: times(row.open, factor),
        high: times(row.high, factor),
        low: times(row.low, factor),
        close: times(row.close, factor),
        ..row
    }
}

fn found(rows: &[PackRow]) -> Vec<Found> {
    judge(&amzn(), rows, None, &Pack::default())
}

fn rules(found: &[Found]) -> Vec<(&'static str, String)> {
    found.iter().map(|found| (found.rule.code(), found.time.format("%d %H:%M").to_string())).collect()
}

fn pack(rule: PackRule, settings: RuleSettings) -> Pack {
    Pack::resolve(&PackSettings::from([(rule, settings)])).expect("legal settings")
}

#[test]
fn a_calm_session_has_no_finding() {
    assert_eq!(found(&calm("2024-01-16T14:30:00Z", 390)), []);
}

#[test]
fn a_missing_minute_of_a_session_is_a_gap_at_that_minute() {
    let mut rows = calm("2024-01-16T14:30:00Z", 10);
    rows.drain(3..5);
    let found = found(&rows);
    assert_eq!(rules(&found), [("gap", "16 14:33".into())]);
    assert_eq!(found[0].observed.as_deref(), Some("2 minutes missing"));
    assert!(found[0].text.contains("from 2024-01-16T14:33:00Z to 2024-01-16T14:34:00Z"), "{}", found[0].text);
}

#[test]
fn nights_weekends_and_holidays_are_no_gaps() {
    // Friday's last minute, then Tuesday's first: Monday was Martin Luther King Jr. Day.
    assert_eq!(missing_between(at("2024-01-12T20:59:00Z"), at("2024-01-16T14:30:00Z")), None);
    assert_eq!(missing_between(at("2024-01-16T20:59:00Z"), at("2024-01-17T14:30:00Z")), None);
    // A whole session in between is missing.
    let missing = missing_between(at("2024-01-16T20:59:00Z"), at("2024-01-18T14:30:00Z")).expect("Wednesday");
    assert_eq!((missing.minutes, missing.sessions), (390, 1));
    assert_eq!((missing.first, missing.last), (at("2024-01-17T14:30:00Z"), at("2024-01-17T20:59:00Z")));
}

#[test]
fn a_half_day_ends_at_one_and_owes_no_minute_after() {
    // The Friday after Thanksgiving, 13:00 in New York is 18:00 UTC.
    assert_eq!(missing_between(at("2024-11-29T17:59:00Z"), at("2024-12-02T14:30:00Z")), None);
    let missing = missing_between(at("2024-11-29T17:57:00Z"), at("2024-12-02T14:30:00Z")).expect("two minutes");
    assert_eq!((missing.first, missing.minutes), (at("2024-11-29T17:58:00Z"), 2));
}

#[test]
fn the_session_moves_with_daylight_saving() {
    // The clocks went forward on Sunday, 10 March 2024: Monday opens an hour earlier in UTC.
    assert_eq!(missing_between(at("2024-03-08T20:59:00Z"), at("2024-03-11T13:30:00Z")), None);
    let missing = missing_between(at("2024-03-08T20:59:00Z"), at("2024-03-11T14:30:00Z")).expect("an hour");
    assert_eq!((missing.first, missing.minutes), (at("2024-03-11T13:30:00Z"), 60));
    // And back on Sunday, 3 November.
    assert_eq!(missing_between(at("2024-11-01T19:59:00Z"), at("2024-11-04T14:30:00Z")), None);
}

#[test]
fn years_between_two_bars_are_counted_to_a_bound_and_say_so() {
    let missing = missing_between(at("2005-01-03T20:59:00Z"), at("2024-01-16T14:30:00Z")).expect("many");
    assert!(missing.or_more && missing.minutes > 100_000);
    assert_eq!(missing_between(DateTime::<Utc>::MIN_UTC, DateTime::<Utc>::MAX_UTC), None, "no calendar, no panic");
}

#[test]
fn rows_of_one_minute_are_told_apart_by_whether_they_differ() {
    let mut rows = calm("2024-01-16T14:30:00Z", 3);
    rows.insert(1, rows[1]);
    assert_eq!(rules(&found(&rows)), [("duplicate_identical", "16 14:31".into())]);
    rows[2].close += dec!(0.01);
    let found = found(&rows);
    assert_eq!(rules(&found), [("duplicate_different", "16 14:31".into())]);
    assert_eq!((found[0].severity, found[0].observed.as_deref()), (Severity::Warning, Some("2 rows")));
    assert!(found[0].text.contains("153.43, 153.44"), "{}", found[0].text);
}

#[test]
fn flat_bars_are_told_once_when_they_are_enough() {
    let flat = |minute: i64| {
        let row = bar(at("2024-01-16T15:00:00Z") + TimeDelta::minutes(minute), dec!(153.36));
        PackRow { open: row.close, high: row.close, low: row.close, ..row }
    };
    let mut rows: Vec<PackRow> = (0..40).map(flat).collect();
    assert_eq!(rules(&found(&rows)), [("frozen_price", "16 15:14".into())]);
    rows[7] = bar(rows[7].time, dec!(153.37));
    assert_eq!(rules(&found(&rows)), [("frozen_price", "16 15:22".into())]);
    assert_eq!(found(&rows[..22]), []);
}

#[test]
fn a_return_far_beyond_its_window_is_an_outlier_and_a_lively_one_is_none() {
    let mut rows = calm("2024-01-16T14:30:00Z", 80);
    let jump = rows[70].time;
    for row in &mut rows[70..] {
        *row = scaled(*row, dec!(1.03));
    }
    let found_here = found(&rows);
    assert_eq!(rules(&found_here), [("return_outlier", "16 15:40".into())]);
    assert!(found_here[0].observed.as_deref().is_some_and(|text| text.starts_with("+3.01 %")), "{found_here:?}");
    let patient = pack(PackRule::ReturnOutlier, RuleSettings { threshold: Some(1_000.0), ..RuleSettings::default() });
    assert_eq!(judge(&amzn(), &rows, None, &patient), []);
    // A fifth of a percent is a tick or two: not worth a word, however calm it was.
    let mut rows = calm("2024-01-16T14:30:00Z", 80);
    rows[70] = scaled(rows[70], dec!(1.002));
    assert_eq!(rows[70].time, jump);
    assert_eq!(found(&rows), []);
}

#[test]
fn too_few_bars_before_are_no_basis_for_an_outlier() {
    let mut rows = calm("2024-01-16T14:30:00Z", 20);
    rows[19] = scaled(rows[19], dec!(1.05));
    rows[19].volume = 10_000_000_000;
    assert_eq!(found(&rows), []);
}

#[test]
fn an_overnight_move_is_no_return_of_a_minute() {
    let mut rows = calm("2024-01-16T19:40:00Z", 80);
    rows.extend(calm("2024-01-17T14:30:00Z", 5).into_iter().map(|row| scaled(row, dec!(1.08))));
    assert_eq!(found(&rows), []);
}

#[test]
fn volume_is_judged_on_a_logarithm_and_in_both_directions() {
    let mut rows = calm("2024-01-16T14:30:00Z", 80);
    rows[70].volume *= 10;
    assert_eq!(found(&rows), [], "ten times is an opening or a piece of news");
    rows[70].volume *= 100;
    assert_eq!(rules(&found(&rows)), [("volume_outlier", "16 15:40".into())]);
    rows[70].volume = 0;
    assert_eq!(rules(&found(&rows)), [("volume_outlier", "16 15:40".into())]);
}

#[test]
fn a_misplaced_point_is_a_scale_error_and_its_way_back_is_nothing() {
    for factor in [dec!(10), dec!(100), dec!(0.1), dec!(0.01)] {
        let mut rows = calm("2024-01-16T14:30:00Z", 80);
        rows[70] = scaled(rows[70], factor);
        let found = found(&rows);
        assert_eq!(rules(&found), [("scale_error", "16 15:40".into())], "{factor}");
        assert_eq!(found[0].severity, Severity::Critical);
    }
}

#[test]
fn one_price_with_a_misplaced_point_is_enough_and_is_named() {
    let mut rows = calm("2024-01-16T14:30:00Z", 10);
    rows[5].high *= dec!(10);
    let found = found(&rows);
    assert_eq!(rules(&found), [("scale_error", "16 14:35".into())]);
    assert!(found[0].text.contains("high of 2024-01-16T14:35:00Z is 1534.1"), "{}", found[0].text);
}

#[test]
fn a_height_that_stays_is_a_new_level_after_five_bars() {
    let mut rows = calm("2024-01-16T14:30:00Z", 40);
    for row in &mut rows[20..] {
        *row = scaled(*row, dec!(10));
    }
    let found = found(&rows);
    assert_eq!(found.iter().filter(|found| found.rule == PackRule::ScaleError).count(), 5, "{:?}", rules(&found));
}

#[test]
fn a_jump_between_sessions_at_a_splits_ratio_may_be_a_corporate_action() {
    for (factor, ratio) in [(dec!(0.5), "2:1"), (dec!(0.1), "10:1"), (dec!(10), "1:10"), (dec!(0.6667), "3:2")] {
        let mut rows = calm("2024-01-16T20:30:00Z", 30);
        rows.extend(calm("2024-01-17T14:30:00Z", 10).into_iter().map(|row| scaled(row, factor)));
        let found = found(&rows);
        assert_eq!(rules(&found), [("split_like", "17 14:30".into())], "{ratio}");
        assert!(found[0].text.contains(&format!("a split of {ratio}.")), "{}", found[0].text);
    }
    // No company splits its shares in the middle of a session.
    let mut rows = calm("2024-01-16T14:30:00Z", 10);
    rows[6] = scaled(rows[6], dec!(0.1));
    assert_eq!(rules(&found(&rows)), [("scale_error", "16 14:36".into())]);
}

#[test]
fn a_row_stamped_after_it_was_received_shows_a_wrong_clock() {
    let mut rows = calm("2024-01-16T14:30:00Z", 3);
    rows[1].event_time = rows[1].received_at + TimeDelta::milliseconds(1_900);
    assert_eq!(found(&rows), []);
    rows[1].event_time = rows[1].received_at + TimeDelta::milliseconds(5_200);
    let found = found(&rows);
    assert_eq!(rules(&found), [("clock_skew", "16 14:31".into())]);
    assert_eq!(found[0].observed.as_deref(), Some("5.2 s ahead"));
}

#[test]
fn a_symbol_is_unknown_only_where_the_known_ones_are_listed() {
    let rows = calm("2024-01-16T14:30:00Z", 3);
    let listed = |symbol: &str| {
        let symbols = Some(vec![symbol.parse().expect("a ticker")]);
        pack(PackRule::UnknownSymbol, RuleSettings { symbols, ..RuleSettings::default() })
    };
    assert_eq!(judge(&amzn(), &rows, None, &listed("AMZN")), []);
    assert_eq!(rules(&judge(&amzn(), &rows, None, &listed("AAPL"))), [("unknown_symbol", "16 14:30".into())]);
}

#[test]
fn silence_is_one_finding_from_the_first_missing_minute_on() {
    let (newest, received) = (at("2024-01-16T15:00:00Z"), at("2024-01-16T15:01:01Z"));
    let silence = |now: &str| judge_silence(&amzn(), newest, received, at(now), &Pack::default());
    assert_eq!(silence("2024-01-16T15:04:00Z"), None);
    let found = silence("2024-01-16T15:05:00Z").expect("four minutes");
    assert_eq!((found.time, found.severity), (at("2024-01-16T15:01:00Z"), Severity::Critical));
    assert_eq!(silence("2024-01-16T20:59:00Z"), Some(found), "the same one hours later");
    assert_eq!(silence("2024-01-16T21:00:00Z"), None, "the exchange is closed");
    assert_eq!(silence("2024-01-17T14:33:00Z"), None, "nothing was due before the open");
    let next = silence("2024-01-17T14:35:00Z").expect("silent since the open");
    assert_eq!(next.time, at("2024-01-17T14:30:00Z"));
    assert_eq!(silence("2024-01-15T16:00:00Z"), None, "a holiday");
    assert_eq!(silence("2024-02-01T16:00:00Z"), None, "no longer traded");
}

#[test]
fn a_half_day_is_silent_from_one_on() {
    let (newest, received) = (at("2024-11-29T17:59:00Z"), at("2024-11-29T18:00:01Z"));
    assert_eq!(judge_silence(&amzn(), newest, received, at("2024-11-29T18:30:00Z"), &Pack::default()), None);
}

#[test]
fn one_straggler_is_fresh_enough_and_a_late_median_is_not() {
    let fresh = |delays: &[f64]| {
        judge_freshness(&amzn(), at("2024-01-16T15:00:00Z"), &mut delays.to_vec(), 2.0, &Pack::default())
    };
    assert_eq!(fresh(&[0.2, 0.3, 60.0, 0.2, 0.3]), None);
    assert_eq!(fresh(&[]), None);
    let found = fresh(&[9.0, 14.2, 60.0, 20.0, 0.3]).expect("late");
    assert_eq!(found.observed.as_deref(), Some("14.2 s"));
}

/// What a bar is judged does not depend on how many rows were read before it, if they are enough.
#[test]
fn a_bar_is_judged_alike_in_a_window_and_among_all_rows() {
    let mut rows = calm("2024-01-16T14:30:00Z", 390);
    rows[100] = scaled(rows[100], dec!(10));
    rows[200] = scaled(rows[200], dec!(0.95));
    rows[300].volume = 900_000_000;
    rows.remove(250);
    let pack = Pack::default();
    let all = judge(&amzn(), &rows, None, &pack);
    assert_eq!(all.len(), 5, "{:?}", rules(&all));
    for first in [90, 150, 190, 240, 280] {
        let window = &rows[first - pack.context()..];
        let after = rows[first].time;
        let expected: Vec<Found> = all.iter().filter(|found| found.time > after).cloned().collect();
        assert_eq!(judge(&amzn(), window, Some(after), &pack), expected);
    }
}

#[test]
fn settings_that_cannot_be_are_named_by_rule_and_key() {
    let settings = |threshold, window, symbols| RuleSettings { threshold, window, symbols, ..RuleSettings::default() };
    let wrong = Pack::resolve(&PackSettings::from([
        (PackRule::Gap, settings(Some(0.0), Some(3), None)),
        (PackRule::ReturnOutlier, settings(Some(f64::NAN), Some(5), None)),
        (PackRule::UnknownSymbol, RuleSettings { enabled: Some(true), ..RuleSettings::default() }),
        (PackRule::Silence, settings(None, None, Some(vec![amzn()]))),
    ]))
    .expect_err("all wrong");
    let places: Vec<_> = wrong.iter().map(|mistake| (mistake.rule.code(), mistake.key)).collect();
    assert_eq!(
        places,
        [
            ("gap", "threshold"),
            ("gap", "window"),
            ("return_outlier", "threshold"),
            ("return_outlier", "window"),
            ("unknown_symbol", "symbols"),
            ("silence", "symbols"),
        ]
    );
    let off = pack(PackRule::Gap, RuleSettings { enabled: Some(false), ..RuleSettings::default() });
    let mut rows = calm("2024-01-16T14:30:00Z", 10);
    rows.remove(4);
    assert_eq!(judge(&amzn(), &rows, None, &off), []);
}

#[test]
fn every_rule_is_documented_as_the_code_has_it() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/rules.md");
    let expected = markdown();
    if std::env::var_os("STOCKSTREAM_WRITE_RULES").is_some() {
        std::fs::write(file, &expected).expect("docs/rules.md can be written");
    }
    let written = std::fs::read_to_string(file).expect("docs/rules.md is there");
    assert!(
        written == expected,
        "docs/rules.md is not what the code says: run this test with STOCKSTREAM_WRITE_RULES=1"
    );
    for rule in PackRule::ALL {
        assert_eq!(PackRule::from_code(rule.code()), Some(rule));
        assert_eq!(PackRule::ALL[rule as usize], rule);
    }
}
