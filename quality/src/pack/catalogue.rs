//! Every rule of the pack with what people want to know of it: the source of `docs/rules.md` and of `GET /api/v1/rules`.

use super::{
    PackRule,
    settings::{Defaults, defaults},
};
use crate::Rule;
use market::Severity;
use std::fmt::Write;

/// What a rule looks at, and so when it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// One row, before it is stored.
    Row,
    /// The stored bars around it, after each commit.
    Bars,
    /// The order in which changes were committed.
    Arrival,
    /// The clock, every few seconds.
    Clock,
    /// The table as a whole, now and then.
    Table,
}

impl Scope {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Row => "row",
            Self::Bars => "bars",
            Self::Arrival => "arrival",
            Self::Clock => "clock",
            Self::Table => "table",
        }
    }
}

/// One rule, documented.
#[derive(Clone, Debug, PartialEq)]
pub struct Documented {
    pub code: &'static str,
    pub scope: Scope,
    /// Where nothing else is configured.
    pub severity: Severity,
    /// What holds, or what is found, in one sentence.
    pub meaning: &'static str,
    pub example: &'static str,
    pub remedy: &'static str,
    /// What `threshold` is, with its default and its range.
    pub threshold: Option<String>,
    /// Bars it looks back, with the range.
    pub window: Option<String>,
    /// Whether `[pack]` of the configuration file has a place for it.
    pub is_configurable: bool,
}

/// Every rule, those of a row first.
pub fn catalogue() -> Vec<Documented> {
    Rule::ALL.into_iter().map(of_row).chain(PackRule::ALL.into_iter().map(of_pack)).collect()
}

fn of_row(rule: Rule) -> Documented {
    let (example, remedy) = match rule {
        Rule::Complete => ("a row without a symbol", "Mend the source's row, or redrive a corrected copy."),
        Rule::Envelope => ("high 153.20 below close 153.36", "Mend the source's row, or redrive a corrected copy."),
        Rule::PositivePrice => ("low -151.80", "Mend the source's row, or redrive a corrected copy."),
        Rule::VolumeNotNegative => ("volume -5", "Mend the source's row, or redrive a corrected copy."),
        Rule::VolumeIntegral => ("volume 1250.5", "The whole part is kept. Ask the vendor what the fraction means."),
        Rule::WholeMinute => ("a bar of 14:31:07", "See whether the vendor stamps trades instead of minutes."),
        Rule::SessionMinute => {
            ("a bar of a Sunday", "Pre- and post-market is only counted. Else see the source's time zone.")
        }
        Rule::NotInFuture => ("a bar of tomorrow", "See the source's clock and time zone; then redrive."),
        Rule::SymbolPattern => ("symbol \"amzn \"", "Mend the symbol in a corrected copy, and in the source."),
        Rule::PriceRange => ("close 1e15", "See whether it is a price at all."),
    };
    Documented {
        code: rule.code(),
        scope: Scope::Row,
        severity: rule.severity(),
        meaning: rule.description(),
        example,
        remedy,
        threshold: None,
        window: None,
        is_configurable: false,
    }
}

fn of_pack(rule: PackRule) -> Documented {
    let (scope, meaning, example, remedy, unit) = match rule {
        PackRule::DuplicateIdentical => (
            Scope::Bars,
            "A symbol has several rows for one minute, all alike.",
            "a poller that asked twice",
            "Nothing: one is shown. A unique key in the source prevents it.",
            "",
        ),
        PackRule::DuplicateDifferent => (
            Scope::Bars,
            "A symbol has several rows for one minute that differ; the newest stands.",
            "closes 153.36 and 153.40 for 14:31",
            "See which row is right and delete the other in the source.",
            "",
        ),
        PackRule::OutOfOrder => (
            Scope::Arrival,
            "A new bar arrived after a later bar of its symbol.",
            "14:31 committed after 14:35",
            "Nothing once; if it goes on, see how the source is loaded.",
            "",
        ),
        PackRule::Gap => (
            Scope::Bars,
            "Minutes of regular sessions between two bars have none; holidays, half days and daylight saving are known.",
            "no bar from 14:32 to 14:34",
            "Load the minutes again; the finding resolves itself. For thinly traded symbols raise the threshold.",
            "minutes missing, at least",
        ),
        PackRule::FrozenPrice => (
            Scope::Bars,
            "Open, high, low and close are one and the same price for a whole window of bars of a day.",
            "15 bars at 153.36",
            "See whether trading was halted or the vendor repeats its last quote.",
            "",
        ),
        PackRule::ReturnOutlier => (
            Scope::Bars,
            "The change of close against the bar before, within a day, has a modified z-score over k, and is half a percent \
             or more.",
            "-4.1 % in a minute, z 38",
            "Compare with another vendor. News makes such bars too.",
            "k of 0.6745·|r − median|/MAD of the returns before",
        ),
        PackRule::VolumeOutlier => (
            Scope::Bars,
            "The logarithm of volume has a modified z-score over k.",
            "40,000,000 shares in a minute",
            "See whether a block trade or an auction is in it.",
            "k of 0.6745·|v − median|/MAD of ln(1 + volume) before",
        ),
        PackRule::ScaleError => (
            Scope::Bars,
            "A price is about 10 or 100 times the bars before it, or a tenth or a hundredth.",
            "close 1533.6 after 153.4",
            "Correct the row in the source; the finding resolves itself.",
            "percent off the factor, at most",
        ),
        PackRule::SplitLike => (
            Scope::Bars,
            "The first bar of a day opens at a ratio to the last close that a split would make: 2:1, 3:2, 3:1, 4:1, 5:1, \
             10:1, 20:1 or the reverse.",
            "open 76.70 after a close of 153.40",
            "Look the corporate action up; adjust older bars if there was one.",
            "percent off the ratio, at most",
        ),
        PackRule::ClockSkew => (
            Scope::Bars,
            "The source stamped a row later than it was received here.",
            "stamped 5.2 s ahead",
            "Synchronise both clocks (NTP).",
            "seconds ahead, at most",
        ),
        PackRule::UnknownSymbol => (
            Scope::Bars,
            "A symbol that is not configured has bars; told at its first bar of each day. Off until `symbols` lists them: the \
             symbols seen so far would make every wrong one known by its second bar.",
            "AMZM beside AMZN",
            "Correct the symbol in the source, or add it to the list.",
            "",
        ),
        PackRule::Silence => (
            Scope::Clock,
            "The exchange is in session, and nothing came of a symbol that had bars in the last 7 days. Not asked of replays.",
            "no bar of AMZN for 3 minutes",
            "See the source, then Debezium, then `stockstream pipeline status`.",
            "seconds of silence, at most",
        ),
        PackRule::Freshness => (
            Scope::Clock,
            "The newest bars were committed later after the source's event than `--budget-ms` allows, by their median. \
             Rows of a snapshot do not count. Not asked of replays.",
            "14.2 s, the budget is 2 s",
            "See the lag on /pipeline; a backlog passes by itself.",
            "",
        ),
        PackRule::RowCount => (
            Scope::Table,
            "The table has another number of rows than the committed changes add up to. It compares the table with the \
             change log, not with the source: only `stockstream verify` reads the topic again.",
            "7,801 rows, the changes make 7,800",
            "Nobody but Stockstream should write the table. Run `stockstream verify`.",
            "rows of difference, at most",
        ),
    };
    let Defaults { threshold, window } = defaults(rule);
    Documented {
        code: rule.code(),
        scope,
        severity: rule.severity(),
        meaning,
        example,
        remedy,
        threshold: threshold.map(|range| format!("{unit}: {} ({} to {})", range.default, range.least, range.most)),
        window: window.map(|range| format!("{} bars ({} to {})", range.default, range.least, range.most)),
        is_configurable: true,
    }
}

/// The rules as a table for people; `docs/rules.md` is exactly this.
pub fn markdown() -> String {
    let mut text = String::from(HEAD);
    text.push_str("| rule | asked of | severity | meaning | example | what to do | threshold | window |\n");
    text.push_str("| --- | --- | --- | --- | --- | --- | --- | --- |\n");
    for rule in catalogue() {
        let Documented { code, scope, severity, meaning, example, remedy, threshold, window, .. } = rule;
        // A pipe would begin a new cell.
        let cell = |text: Option<String>| text.unwrap_or_else(|| "–".into()).replace('|', "\\|");
        writeln!(
            text,
            "| `{code}` | {} | {} | {meaning} | {example} | {remedy} | {} | {} |",
            scope.as_str(),
            severity.as_str(),
            cell(threshold),
            cell(window)
        )
        .expect("writing to a string cannot fail");
    }
    text
}

const HEAD: &str = "\
# The built-in rules

Made from the code (`quality/src/pack/catalogue.rs`); a test holds it to that.

Rules of a *row* are asked before it is stored: critical ones send it to quarantine, warnings are stored beside it. All \
others are asked after the commit and never hold a row up: what they find is a *finding*, one for each rule, symbol and \
minute, on `/quality`, on the chart, at `GET /api/v1/findings` and in the live stream. Critical ones are told to people. Bars \
that are corrected are judged again with those that look back at them, and what no longer holds is resolved.

The modified z-score is that of Iglewicz and Hoaglin (*How to Detect and Handle Outliers*, 1993): 0.6745 · |x − median| / \
MAD, over the window before the bar. Their limit of 3.5 is for normal data; minutes of stocks have heavier tails, and so the \
defaults are higher.

Each rule beyond the row can be turned off or tuned in the file of `--checkpoints`:

```toml
[pack.gap]
threshold = 5           # minutes

[pack.return_outlier]
severity = \"info\"
threshold = 15
window = 120

[pack.silence]
enabled = false

[pack.unknown_symbol]
symbols = [\"AMZN\", \"AAPL\"]
```

";
