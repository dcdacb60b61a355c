//! Bars as columns: what readers of Arrow and Parquet find in the answers.

use crate::site::{Answer, Site, row};
use arrow_array::{
    RecordBatch,
    cast::AsArray,
    types::{Decimal128Type, Int64Type, TimestampMicrosecondType},
};
use arrow_ipc::reader::StreamReader;
use axum::http::{Method, StatusCode, header};
use chrono::DateTime;
use market::Bar;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use rust_decimal::Decimal;

const ARROW: &str = "application/vnd.apache.arrow.stream";
const PARQUET: &str = "application/vnd.apache.parquet";

/// The bars of an answer, by its `Content-Type`.
fn read(answer: &Answer, symbol: &str) -> Vec<Bar> {
    assert_eq!(answer.status, StatusCode::OK, "{}", String::from_utf8_lossy(&answer.bytes));
    let batches: Vec<RecordBatch> = match answer.header(header::CONTENT_TYPE) {
        ARROW => StreamReader::try_new(&*answer.bytes, None).unwrap().map(Result::unwrap).collect(),
        PARQUET => {
            let reader = ParquetRecordBatchReaderBuilder::try_new(answer.bytes.clone()).unwrap().build().unwrap();
            reader.map(Result::unwrap).collect()
        }
        other => panic!("{other}"),
    };
    let mut bars = Vec::new();
    for batch in batches {
        let column = |name| batch.column_by_name(name).unwrap();
        let price = |name, row| {
            let units = column(name).as_primitive::<Decimal128Type>().value(row);
            // As it was written, without the zeros of the column's scale.
            Decimal::try_from_i128_with_scale(units / 10_i128.pow(8), 10).unwrap().normalize()
        };
        for row in 0..batch.num_rows() {
            assert_eq!(column("symbol").as_string::<i32>().value(row), symbol);
            let time = column("time").as_primitive::<TimestampMicrosecondType>().value(row);
            bars.push(Bar {
                time: DateTime::from_timestamp_micros(time).unwrap(),
                open: price("open", row),
                high: price("high", row),
                low: price("low", row),
                close: price("close", row),
                volume: column("volume").as_primitive::<Int64Type>().value(row),
            });
        }
    }
    bars
}

#[tokio::test]
async fn bars_come_as_columns_page_by_page_for_those_who_prefer_them() {
    let site = Site::start().await;
    let bars = site.fill("AMZN", 6).await;
    for (name, kind, file) in [("arrow", ARROW, "bars.arrows"), ("parquet", PARQUET, "bars.parquet")] {
        let (mut found, mut next) = (Vec::new(), Some(format!("/api/v1/bars?symbol=AMZN&limit=100&format={name}")));
        while let Some(path) = next {
            let page = site.get(&path).await;
            assert!(page.header(header::CONTENT_DISPOSITION).ends_with(&format!("filename=\"{file}\"")));
            found.extend(read(&page, "AMZN"));
            let link = page.header(header::LINK);
            next = link.strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\"")).map(str::to_owned);
        }
        assert_eq!(found, bars, "{name}");

        let path = "/api/v1/bars?symbol=AMZN&limit=3&sort=desc";
        let preferred = site.ask(Method::GET, path, &[(header::ACCEPT, kind)]).await;
        assert_eq!(
            (preferred.header(header::CONTENT_TYPE), preferred.header(header::VARY)),
            (kind, "accept, accept-encoding")
        );
        let newest: Vec<Bar> = bars.iter().rev().take(3).copied().collect();
        assert_eq!(read(&preferred, "AMZN"), newest, "{name}");

        let none = format!("/api/v1/bars?symbol=AMZN&end=2000-01-01&format={name}");
        let none = site.get(&none).await;
        assert_eq!(read(&none, "AMZN"), [], "an empty window is an empty table");
        let unchanged = format!("/api/v1/bars?symbol=AMZN&end=2000-01-01&format={name}");
        let tag = none.header(header::ETAG);
        let unchanged = site.ask(Method::GET, &unchanged, &[(header::IF_NONE_MATCH, tag)]).await;
        assert_eq!(unchanged.status, StatusCode::NOT_MODIFIED, "the same bars are the same bytes");
        let unknown = site.get(&format!("/api/v1/bars?symbol=NOPE&format={name}")).await;
        unknown.is_problem(StatusCode::NOT_FOUND, "unknown_symbol");
    }
}

#[tokio::test]
async fn a_price_that_no_column_holds_exactly_is_refused_and_not_rounded() {
    let site = Site::start().await;
    site.insert(&[
        row("FINE", "2024-01-16T14:30:00Z", "0.000000000000000001"),
        row("TINY", "2024-01-16T14:30:00Z", "0.0000000000000000001"),
    ])
    .await;
    for format in ["arrow", "parquet"] {
        let fine = site.get(&format!("/api/v1/bars?symbol=FINE&format={format}")).await;
        assert_eq!(fine.status, StatusCode::OK);
        let refused = site.get(&format!("/api/v1/bars?symbol=TINY&format={format}")).await;
        refused.is_problem(StatusCode::NOT_ACCEPTABLE, "not_representable");
    }
    let csv = site.get("/api/v1/bars?symbol=TINY&format=csv").await;
    assert!(csv.text().contains("0.0000000000000000001"));
}
