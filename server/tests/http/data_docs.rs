//! Data docs as the server renders them: whole pages, without a script.

use crate::{
    site::Site,
    validations::{SUITE, fill, found, named},
};
use app::backend::Failed;
use axum::http::{StatusCode, header};
use chrono::Utc;
use serde_json::json;
use server::{http::data_docs_pages, store::Cause};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

async fn page(site: &Site, path: &str) -> String {
    let answer = site.get(path).await;
    let html = answer.text();
    assert_eq!(answer.status, StatusCode::OK, "{path}: {html}");
    assert!(!html.contains(" style=\""), "{path}: an inline style");
    assert!(answer.header(header::CONTENT_SECURITY_POLICY).contains("default-src 'self'"), "{path}");
    html
}

/// What people read: the page without its tags, and without what the browser's script takes over.
fn text(html: &str) -> String {
    let body = html.split("<main").nth(1).unwrap().split("</main>").next().unwrap();
    let mut text = String::new();
    let mut parts = body.split('<');
    text.push_str(parts.next().unwrap());
    for part in parts {
        let (tag, words) = part.split_once('>').unwrap();
        // Marks between texts are no gap between words.
        if !tag.starts_with('!') {
            text.push(' ');
        }
        text.push_str(words);
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn without_a_run_the_page_says_how_to_get_one() {
    let site = Site::start().await;
    let words = text(&page(&site, "/quality").await);
    assert!(words.contains("No suite has run yet."), "{words}");
    assert!(words.contains("stockstream validate --database-url"), "{words}");
}

#[tokio::test]
async fn suites_and_runs_are_there_without_a_script_all_or_only_the_failed() {
    let site = Site::start().await;
    fill(&site).await;
    let html = page(&site, "/quality").await;
    let words = text(&html);
    assert!(words.contains("1 of 3 met"), "{words}");
    assert!(html.contains("href=\"/quality/suites/prices%20%26%20volumes\""), "{html}");
    for run in 1..=6 {
        assert!(html.contains(&format!("href=\"/quality/runs/{run}\"")), "run {run}");
    }
    assert!(words.contains("16 Jan 2024 16:04:00 EST"), "times have their zone: {words}");
    let failed = page(&site, "/quality?show=failed&theme=dark").await;
    let rows = failed.split("<tbody>").nth(1).unwrap().split("</tbody>").next().unwrap();
    assert!(rows.contains("/quality/runs/5?theme=dark") && !rows.contains("/quality/runs/6"), "{rows}");
}

#[tokio::test]
async fn a_runs_page_tells_of_each_expectation_by_column_and_escapes_what_the_rows_hold() {
    let site = Site::start().await;
    fill(&site).await;
    let html = page(&site, "/quality/runs/5").await;
    let words = text(&html);
    for expected in [
        "Run 5 of prices",
        "The table as a whole 1 met",
        "close 2 of 2 not met",
        "observed 130",
        "2 of 130 unexpected (1.54 %)",
        "The first 2 unexpected values",
        "-1.50 700",
        "not supported",
        "warning",
        "5 runs, 1 not met; 4 to 130, last 130",
        "5 runs, 1 not met; 0 to 1.5385",
    ] {
        assert!(words.contains(expected), "{expected:?} is not in {words}");
    }
    assert!(html.contains("id=\"expectation-2\"") && html.contains("href=\"#group-1\""));
    assert!(!html.contains("<b>0</b>"), "what a row holds is not markup");
    assert!(html.contains("class=\"sparkline-line\"") && html.contains(" d=\"M5.0 "), "a trend is drawn");

    let failed = text(&page(&site, "/quality/runs/5?show=failed").await);
    assert!(failed.contains("2 of 130 unexpected") && !failed.contains("observed 130"), "{failed}");
}

#[tokio::test]
async fn an_unexpected_row_leads_to_where_it_came_from() {
    let site = Site::start().await;
    let result = named(found(SUITE, 130, &["-1.50"]));
    site.store().record_validation("source_stock", Cause::Schedule, Utc::now(), Utc::now(), &result).await.unwrap();
    let html = page(&site, "/quality/runs/1").await;
    assert!(html.contains("href=\"/dashboard?a=AMZN#AMZN@2024-01-16T14:31Z\""), "{html}");
    assert!(text(&html).contains("700 AMZN, 16 Jan 2024 09:31:00 EST"), "{}", text(&html));
}

#[tokio::test]
async fn a_suites_page_has_what_it_checks_and_its_runs() {
    let site = Site::start().await;
    fill(&site).await;
    let html = page(&site, "/quality/suites/prices%20%26%20volumes").await;
    let words = text(&html);
    assert!(words.contains("What it checks") && words.contains("Its runs"), "{words}");
    assert!(words.contains("1 of 3 met in its newest run, run 5"), "{words}");
    assert!(html.contains("href=\"/quality/runs/1\"") && !html.contains("href=\"/quality/runs/6\""));
    assert!(!words.contains("an empty table"), "of the columns of another table nothing is known: {words}");
    let nothing = text(&page(&site, "/quality/suites/nothing").await);
    assert!(nothing.contains("The suite expects nothing."), "{nothing}");
}

#[tokio::test]
async fn a_suites_page_says_where_it_does_not_check_what_its_author_may_believe() {
    let site = Site::start().await;
    let result = found(include_str!("../../../fixtures/suites/stock_0x.json"), 100, &[]);
    let store = site.store();
    store.record_validation("source_stock", Cause::Schedule, Utc::now(), Utc::now(), &result).await.unwrap();
    let suite = text(&page(&site, "/quality/suites/stock.ingest").await);
    assert!(suite.contains("it counts columns, not rows: it is met by an empty table"), "{suite}");
    assert!(suite.contains("a price of 0 or −1 would pass"), "{suite}");
    let run = text(&page(&site, "/quality/runs/1").await);
    assert!(!run.contains("it counts columns"), "a run tells what was found: {run}");
}

#[tokio::test]
async fn what_was_never_run_is_404_with_a_way_back() {
    let site = Site::start().await;
    fill(&site).await;
    for path in [
        "/quality/runs/99",
        "/quality/runs/five",
        "/quality/suites/unheard",
        "/quality/suites/%00",
        "/quality?cursor=x",
        "/quality/more",
    ] {
        let answer = site.get(path).await;
        let html = answer.text();
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}: {html}");
        assert!(html.contains("<html"), "{path}: {html}");
    }
}

#[tokio::test]
async fn pages_are_answered_while_an_export_begins() {
    let site = Site::start().await;
    fill(&site).await;
    let beginning = Arc::new(AtomicBool::new(true));
    let exports = std::thread::spawn({
        let (store, beginning) = (site.store().clone(), Arc::clone(&beginning));
        move || {
            while beginning.load(Ordering::Relaxed) {
                drop(data_docs_pages(store.clone(), None, Failed(Arc::new(|_| ()))));
            }
        }
    });
    for _ in 0..20 {
        page(&site, "/quality/runs/1").await;
    }
    beginning.store(false, Ordering::Relaxed);
    exports.join().unwrap();
}

#[tokio::test]
async fn old_runs_are_a_link_away() {
    let site = Site::start().await;
    let result = found(SUITE, 100, &[]);
    for _ in 0..app::quality::RUNS + 3 {
        site.store().record_validation("stock", Cause::Demand, Utc::now(), Utc::now(), &result).await.unwrap();
    }
    let html = page(&site, "/quality?show=failed").await;
    let link = html.split("href=\"").find(|rest| rest.contains("cursor=")).unwrap().split('"').next().unwrap();
    let older = page(&site, &link.replace("&amp;", "&")).await;
    assert!(older.contains("href=\"/quality/runs/3\"") && !older.contains("href=\"/quality/runs/4\""), "{link}");
    assert!(text(&older).contains("Newest runs"));
}

#[tokio::test]
async fn what_the_pages_ask_again_is_what_the_api_answers() {
    let site = Site::start().await;
    fill(&site).await;
    let runs: app::quality::Runs = site.get("/api/v1/validations?limit=2").await.ok();
    assert_eq!((runs.runs.len(), runs.runs[1].run_id, runs.next_cursor.is_some()), (2, 5, true));
    let suites: app::quality::Suites = site.get("/api/v1/validations/suites").await.ok();
    assert_eq!(json!(suites.suites[1].suite), "prices & volumes");
}
