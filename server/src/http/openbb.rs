//! What OpenBB Workspace asks of a backend: which widgets it can make of the API, and how an app lays them out. The data come
//! from the API itself.

use super::{Catalogue, Problem, error::ProblemBody};
use axum::{Json, extract::State};
use serde_json::{Value, json};

/// A table of a list's members.
fn table(name: &str, description: &str, endpoint: &str, key: Option<&str>, columns: &[(&str, &str, &str)]) -> Value {
    let columns: Vec<Value> = columns
        .iter()
        .map(|(field, title, kind)| json!({"field": field, "headerName": title, "cellDataType": kind}))
        .collect();
    let mut data = json!({"table": {"showAll": true, "columnsDefs": columns}});
    if let Some(key) = key {
        data["dataKey"] = key.into();
    }
    json!({
        "name": name, "description": description, "category": "Equity", "source": ["Stockstream"], "type": "table",
        "endpoint": endpoint, "gridData": {"w": 20, "h": 9}, "data": data
    })
}

/// The widgets of OpenBB Workspace: a chart with marks (over UDF), the latest bars, the symbols, what the built-in rules found.
/// Pages of OpenBB may read it, and what it names, where the server allows their origin (`--allow-origin`).
#[utoipa::path(get, path = "/widgets.json", tag = "OpenBB Workspace", operation_id = "list_openbb_widgets", responses(
    (status = 200, description = "The widgets by their ids", body = Object),
    (status = 503, description = "The database does not answer", body = ProblemBody, content_type = "application/problem+json"),
))]
pub async fn list_openbb_widgets(State(catalogue): State<Catalogue>) -> Result<Json<Value>, Problem> {
    let symbols = catalogue.symbols().await?;
    let first = symbols.first().map(|info| info.symbol.as_str());
    let latest = [
        ("symbol", "Symbol", "text"),
        ("time", "Minute", "dateString"),
        ("open", "Open", "number"),
        ("high", "High", "number"),
        ("low", "Low", "number"),
        ("close", "Close", "number"),
        ("volume", "Volume", "number"),
        ("committed_at", "Committed", "dateString"),
    ];
    let findings = [
        ("time", "Minute", "dateString"),
        ("symbol", "Symbol", "text"),
        ("severity", "Severity", "text"),
        ("rule", "Rule", "text"),
        ("text", "What", "text"),
    ];
    Ok(Json(json!({
        "stockstream_chart": {
            "name": "Candles", "description": "Live and past bars of a symbol, with what the quality rules found as marks",
            "category": "Equity", "source": ["Stockstream"], "type": "advanced_charting", "endpoint": "/udf",
            "gridData": {"w": 40, "h": 20}, "data": {"defaultSymbol": first, "updateFrequency": 60_000}
        },
        "stockstream_latest": table(
            "Latest bars", "The newest minute of every symbol, and when it was committed", "api/v1/latest", None, &latest,
        ),
        "stockstream_symbols": table(
            "Symbols", "Every symbol, and from when to when there are bars of it", "api/v1/symbols", None,
            &[("symbol", "Symbol", "text"), ("first", "First minute", "dateString"), ("last", "Last minute", "dateString")],
        ),
        "stockstream_findings": table(
            "Findings", "What the rules over several bars found and what still holds", "api/v1/findings", Some("findings"),
            &findings,
        ),
    })))
}

/// The app of OpenBB Workspace that shows these widgets: prices on one tab, what the quality rules found on the other.
#[utoipa::path(get, path = "/apps.json", tag = "OpenBB Workspace", operation_id = "list_openbb_apps", responses(
    (status = 200, description = "The apps", body = [Object]),
))]
pub async fn list_openbb_apps() -> Json<Value> {
    let place = |widget: &str, (x, y, w, h): (u8, u8, u8, u8)| json!({"i": widget, "x": x, "y": y, "w": w, "h": h});
    Json(json!([{
        "name": "Stockstream", "description": "Stock bars as they are committed in their source, and what is wrong with them",
        "img": "", "img_dark": "", "img_light": "", "allowCustomization": true,
        "tabs": {
            "prices": {"id": "prices", "name": "Prices", "layout": [
                place("stockstream_chart", (0, 0, 40, 20)),
                place("stockstream_latest", (0, 20, 20, 9)),
                place("stockstream_symbols", (20, 20, 20, 9)),
            ]},
            "quality": {"id": "quality", "name": "Quality", "layout": [place("stockstream_findings", (0, 0, 40, 20))]},
        },
        "groups": []
    }]))
}
