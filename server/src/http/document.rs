//! The API's description of itself, generated from the handlers.

use super::dialect::Dialect;
use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self, ContentBuilder, Ref, RefOr, ResponseBuilder,
        security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Stockstream",
        description = "Stock bars as they are committed in a source database. Prices are JSON numbers in the quote \
                       currency; instants are RFC 3339 in UTC. A parameter without a value counts as not given. Every \
                       refusal is `application/problem+json` with `code` and `message`; under `/v2` and `/udf` it has \
                       the body that Alpaca's and TradingView's clients know. Where the server asks for keys, \
                       questions need the scope `read`, streams `stream`, and orders `control` or the control token.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/")),
    tags(
        (name = "Market data", description = "Bars and what they amount to"),
        (name = "Alpaca market data v2", description = "Bars as Alpaca's clients ask for them. `n`, `vw`, `latestTrade` and \
                                          `latestQuote` are null: trades and quotes are not known. `feed`, `asof` and \
                                          `adjustment` change nothing: there is one source, and bars are what it holds"),
        (name = "TradingView UDF", description = "What TradingView's charting library asks of a datafeed"),
        (name = "OpenBB Workspace", description = "Which widgets it can make of this API"),
        (name = "Original stock API", description = "The API that this program replaces, as its clients know it"),
        (name = "Control", description = "The pipeline, and orders for it. Orders need the control token; without one \
                                          configured they are off"),
        (name = "Data quality", description = "What expectation suites and the built-in rules found"),
        (name = "Operations", description = "For supervisors and Prometheus"),
    ),
    modifiers(&ControlToken),
)]
struct Document;

/// How orders say who gives them, and questions who asks.
struct ControlToken;

impl Modify for ControlToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The server's --control-token, or STOCKSTREAM_CONTROL_TOKEN"))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("control_token", SecurityScheme::Http(scheme));
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "A key, whole, as `stockstream key create` prints it. Needed where --api-keys is `required`",
            ))
            .build();
        components.add_security_scheme("bearer_key", SecurityScheme::Http(scheme));
        for (name, value) in alternatives() {
            components.add_security_scheme(name, SecurityScheme::ApiKey(value));
        }
    }
}

/// Where else a key may stand.
fn alternatives() -> [(&'static str, ApiKey); 3] {
    let value = ApiKeyValue::with_description;
    [
        ("query_key", ApiKey::Query(value("apikey", "A key, whole, for who can send no headers"))),
        ("alpaca_key_id", ApiKey::Header(value("APCA-API-KEY-ID", "The id of a key, as Alpaca's clients send it"))),
        ("alpaca_secret_key", ApiKey::Header(value("APCA-API-SECRET-KEY", "Its secret"))),
    ]
}

/// No key, or one in any of its places.
fn any_key() -> Vec<SecurityRequirement> {
    const NO_SCOPES: [&str; 0] = [];
    vec![
        SecurityRequirement::default(),
        SecurityRequirement::new("bearer_key", NO_SCOPES),
        SecurityRequirement::new("query_key", NO_SCOPES),
        SecurityRequirement::new("alpaca_key_id", NO_SCOPES).add("alpaca_secret_key", NO_SCOPES),
    ]
}

/// What does not come from the handlers.
pub(super) fn outline() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// What every limited operation may answer besides what its handler says.
pub(super) fn add_limits(document: &mut utoipa::openapi::OpenApi, body_limit: usize) {
    for (path, item) in &mut document.paths.paths {
        let (schema, kind) = match Dialect::of(path) {
            Dialect::Native => ("Problem", "application/problem+json"),
            Dialect::Alpaca => ("AlpacaError", "application/json"),
            Dialect::Udf => ("UdfError", "application/json"),
        };
        let problem = |description: String| -> RefOr<openapi::Response> {
            let content = ContentBuilder::new().schema(Some(Ref::from_schema_name(schema))).build();
            ResponseBuilder::new().description(description).content(kind, content).build().into()
        };
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            operation.security.get_or_insert_with(any_key);
            let responses = &mut operation.responses.responses;
            responses.entry("401".to_owned()).or_insert_with(|| {
                problem(
                    "The key is wrong, or one is needed and there is none; `WWW-Authenticate` says which".to_owned(),
                )
            });
            responses.entry("403".to_owned()).or_insert_with(|| {
                problem("The key has not got the scope that this needs (`insufficient_scope`)".to_owned())
            });
            responses.entry("429".to_owned()).or_insert_with(|| {
                problem(
                    "Too many requests of this key, or from this address; `Retry-After` and `RateLimit` say when to go on"
                        .to_owned(),
                )
            });
            if operation.request_body.is_some() {
                let description = format!("The body has more than {body_limit} bytes");
                responses.entry("413".to_owned()).or_insert_with(|| problem(description));
            }
        }
    }
}

/// The document as JSON, encoded once.
#[derive(Clone)]
pub(super) struct Encoded(Bytes);

impl From<utoipa::openapi::OpenApi> for Encoded {
    fn from(document: utoipa::openapi::OpenApi) -> Self {
        let json = serde_json::to_vec_pretty(&document).expect("a document of strings and maps always has a JSON form");
        Self(json.into())
    }
}

impl Encoded {
    pub(super) fn answer(&self) -> std::future::Ready<Response> {
        let headers = [(header::CONTENT_TYPE, "application/json"), (header::CACHE_CONTROL, "no-cache")];
        std::future::ready((headers, self.0.clone()).into_response())
    }
}
