//! What the rules over several bars found, and the rules themselves.

use super::{
    Problem,
    cursor::{InvalidCursor, open, seal},
    error::ProblemBody,
    params::{Instant, Limit, Params, Query, Request},
    schema,
};
use crate::store::{FindingFilter, FindingPlace, ReadError, Store};
use app::quality::{BarFindings, FINDINGS, FindingsAsked};
use axum::{Json, extract::State};
use chrono::DateTime;
use market::{Severity, Symbol, wire::FindingsPage};
use quality::pack::{PackRule, catalogue};
use serde::Serialize;
use std::str::FromStr;
use utoipa::ToSchema;
use xxhash_rust::xxh3::xxh3_64;

const TAG: &str = "Data quality";
/// Findings on a page that does not say how many it wants.
const DEFAULT: u32 = 100;
/// The most of them.
const MAX: u32 = 1_000;

/// A rule, documented.
#[derive(Serialize, ToSchema)]
#[schema(example = json!({
    "code": "gap", "scope": "bars", "severity": "warning",
    "meaning": "Minutes of regular sessions between two bars have none; holidays, half days and daylight saving are known.",
    "example": "no bar from 14:32 to 14:34", "remedy": "Load the minutes again; the finding resolves itself.",
    "threshold": "minutes missing, at least: 1 (1 to 100000)", "window": null, "configurable": true
}))]
pub struct RuleInfo {
    pub code: &'static str,
    /// What it looks at: `row`, `bars`, `arrival`, `clock` or `table`.
    pub scope: &'static str,
    /// Where nothing else is configured.
    #[schema(value_type = schema::Severity)]
    pub severity: &'static str,
    pub meaning: &'static str,
    pub example: &'static str,
    pub remedy: &'static str,
    /// What it means, with its default and its range; `null`: it has none.
    #[schema(required)]
    pub threshold: Option<String>,
    /// Bars that it looks back; `null`: none.
    #[schema(required)]
    pub window: Option<String>,
    /// Whether the configuration file has a place for it.
    pub configurable: bool,
}

/// Every rule.
#[derive(Serialize, ToSchema)]
pub struct RulesList {
    pub rules: Vec<RuleInfo>,
}

/// The code of a rule that makes findings.
struct Code(PackRule);

impl FromStr for Code {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        PackRule::from_code(text)
            .map(Self)
            .ok_or("is no rule that makes findings; GET /api/v1/rules lists them: all but those of a row")
    }
}

/// The name of a severity.
struct Name(Severity);

impl FromStr for Name {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Severity::from_name(text).map(Self).ok_or("must be info, warning or critical")
    }
}

/// Where a page ended, and the question it answered.
struct Cursor {
    place: FindingPlace,
    question: u64,
}

impl Cursor {
    fn encode(&self) -> String {
        let FindingPlace { time, symbol_id, rule } = &self.place;
        seal(&format!("1 {} {symbol_id} {rule} {:x}", time.timestamp_micros(), self.question))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let parse = || {
            let plain = open(text)?;
            let parts: Vec<&str> = plain.split(' ').collect();
            let ["1", time, symbol_id, rule, question] = parts[..] else { return None };
            let time = DateTime::from_timestamp_micros(time.parse().ok()?)?;
            let place = FindingPlace {
                time: Some(time).filter(|time| super::params::is_in_calendar(*time))?,
                symbol_id: symbol_id.parse().ok()?,
                rule: PackRule::from_code(rule)?.code().to_owned(),
            };
            Some(Self { place, question: u64::from_str_radix(question, 16).ok()? })
        };
        parse().ok_or(InvalidCursor)
    }
}

/// The question as a number: a cursor does not fit another one.
fn question(filter: &FindingFilter) -> u64 {
    let FindingFilter { symbol, from, to, rule, severity, resolved, after: _ } = filter;
    xxh3_64(format!("{symbol:?} {from:?} {to:?} {rule:?} {severity:?} {resolved}").as_bytes())
}

/// Which findings.
#[derive(utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FindingListRequest {
    /// Of this symbol.
    #[param(value_type = String, required = false, example = "AMZN", pattern = "^([A-Z][A-Z0-9.-]{0,14})?$")]
    symbol: Option<Symbol>,
    /// Of minutes from this one on: RFC 3339, or a day of the exchange.
    #[param(value_type = schema::Instant, inline, required = false, example = "2024-01-16")]
    from: Option<Instant>,
    /// Of minutes before this one.
    #[param(value_type = schema::Instant, inline, required = false, example = "2024-01-16")]
    to: Option<Instant>,
    /// Of the rule with this code.
    #[param(value_type = schema::PackRule, inline, required = false, example = "gap")]
    rule: Option<String>,
    /// Of this severity.
    #[param(value_type = schema::SeverityFilter, inline, required = false)]
    severity: Option<Severity>,
    /// Also those that no longer hold.
    #[param(value_type = schema::Flag, inline, required = false)]
    resolved: bool,
    /// Findings on a page.
    #[param(value_type = u32, required = false, minimum = 1, maximum = 1_000, default = 100)]
    limit: u32,
    /// `next_cursor` of the page before; everything else must stay as it was.
    #[param(value_type = String, required = false, pattern = "^[A-Za-z0-9_-]*$")]
    cursor: Option<FindingPlace>,
}

impl FindingListRequest {
    fn filter(&self) -> FindingFilter {
        FindingFilter {
            symbol: self.symbol.clone(),
            from: self.from.map(|from| from.0),
            to: self.to.map(|to| to.0),
            rule: self.rule.clone(),
            severity: self.severity,
            resolved: self.resolved,
            after: self.cursor.clone(),
        }
    }
}

impl Request for FindingListRequest {
    fn read(params: &mut Params) -> Option<Self> {
        let symbol = params.optional("symbol");
        let (from, to) = (params.optional("from"), params.optional("to"));
        let rule = params.optional("rule").map(|Code(rule)| rule.code().to_owned());
        let severity = params.optional("severity").map(|Name(severity)| severity);
        let resolved = params.optional("resolved").unwrap_or(false);
        let Limit(limit) = params.optional::<Limit<MAX>>("limit").unwrap_or(Limit(DEFAULT));
        let cursor: Option<Cursor> = params.optional("cursor");
        let mut request = Self { symbol, from, to, rule, severity, resolved, limit, cursor: None };
        if let Some(Cursor { place, question: asked }) = cursor {
            if asked != question(&request.filter()) {
                params.report("cursor", "belongs to another question");
            }
            request.cursor = Some(place);
        }
        Some(request)
    }
}

/// The newest findings that a filter allows, at most `limit`, and the cursor of the next page.
async fn page(store: &Store, filter: &FindingFilter, limit: u32) -> Result<FindingsPage, ReadError> {
    // One more than shown tells whether there is another page.
    let mut findings = store.findings(filter, limit + 1).await?;
    let more = findings.len() > limit as usize;
    findings.truncate(limit as usize);
    let last = findings.last().filter(|_| more);
    let next_cursor = last.map(|(place, _)| Cursor { place: place.clone(), question: question(filter) }.encode());
    Ok(FindingsPage { findings: findings.into_iter().map(|(_, finding)| finding).collect(), next_cursor })
}

/// What `/quality` shows of them; `None` when it asks for a rule or a severity that there is not.
pub(super) async fn of_page(store: &Store, asked: &FindingsAsked) -> Result<Option<BarFindings>, ReadError> {
    let rule = asked.rule.as_deref().map(str::parse::<Code>).transpose();
    let severity = asked.severity.as_deref().map(str::parse::<Name>).transpose();
    let (Ok(rule), Ok(severity)) = (rule, severity) else { return Ok(None) };
    let filter = FindingFilter {
        rule: rule.map(|Code(rule)| rule.code().to_owned()),
        severity: severity.map(|Name(severity)| severity),
        ..FindingFilter::default()
    };
    let page = page(store, &filter, FINDINGS).await?;
    Ok(Some(BarFindings { page, rules: PackRule::ALL.iter().map(|rule| rule.code().to_owned()).collect() }))
}

/// What the rules over several bars found and what still holds, newest minute first, page by page.
#[utoipa::path(get, path = "/api/v1/findings", tag = TAG, operation_id = "list_findings", params(FindingListRequest), responses(
    (status = 200, description = "A page of findings; an empty one when there are none", body = schema::FindingsPage),
    (status = 400, description = "Parameters are wrong; all of them are named", body = ProblemBody, content_type = "application/problem+json"),
    (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn list_findings(
    State(store): State<Store>,
    Query(request): Query<FindingListRequest>,
) -> Result<Json<FindingsPage>, Problem> {
    Ok(Json(page(&store, &request.filter(), request.limit).await?))
}

/// Every rule that rows and bars are held to, with what to do when it finds something.
#[utoipa::path(get, path = "/api/v1/rules", tag = TAG, operation_id = "list_rules", responses(
    (status = 200, description = "The rules, those of a row first", body = RulesList),
))]
pub async fn list_rules() -> Json<RulesList> {
    let rules = catalogue().into_iter().map(|rule| RuleInfo {
        code: rule.code,
        scope: rule.scope.as_str(),
        severity: rule.severity.as_str(),
        meaning: rule.meaning,
        example: rule.example,
        remedy: rule.remedy,
        threshold: rule.threshold,
        window: rule.window,
        configurable: rule.is_configurable,
    });
    Json(RulesList { rules: rules.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_the_trip_and_made_up_ones_are_refused() {
        let place = FindingPlace {
            time: "2024-01-16T14:31:00Z".parse().unwrap(),
            symbol_id: 7,
            rule: "scale_error".to_owned(),
        };
        let text = Cursor { place: place.clone(), question: 12 }.encode();
        let read: Cursor = text.parse().ok().unwrap();
        assert_eq!((read.place, read.question), (place, 12));
        for wrong in ["", "x", &seal("1 0 7 no_rule c"), &seal("1 9223372036854775807 7 gap c"), &seal("2 0 7 gap c")] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }
}
