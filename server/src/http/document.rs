//! The API's description of itself, generated from the handlers.

use axum::{
    http::header,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use utoipa::{
    Modify, OpenApi,
    openapi::{
        self, ContentBuilder, Ref, RefOr, ResponseBuilder,
        security::{HttpAuthScheme, HttpBuilder, SecurityScheme},
    },
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Stockstream",
        description = "Stock bars as they are committed in a source database. Prices are JSON numbers in the quote \
                       currency; instants are RFC 3339 in UTC. A parameter without a value counts as not given. Every \
                       refusal is `application/problem+json` with `code` and `message`.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0"),
    ),
    servers((url = "/")),
    tags(
        (name = "Market data", description = "Bars and what they amount to"),
        (name = "Original stock API", description = "The API that this program replaces, as its clients know it"),
        (name = "Control", description = "The pipeline, and orders for it. Orders need the control token; without one \
                                          configured they are off"),
        (name = "Data quality", description = "What expectation suites found, run by run"),
        (name = "Operations", description = "For supervisors and Prometheus"),
    ),
    modifiers(&ControlToken),
)]
struct Document;

/// How orders say who gives them.
struct ControlToken;

impl Modify for ControlToken {
    fn modify(&self, document: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The server's --control-token, or STOCKSTREAM_CONTROL_TOKEN"))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme("control_token", SecurityScheme::Http(scheme));
    }
}

/// What does not come from the handlers.
pub(super) fn outline() -> utoipa::openapi::OpenApi {
    Document::openapi()
}

/// What every limited operation may answer besides what its handler says.
pub(super) fn add_limits(document: &mut utoipa::openapi::OpenApi, body_limit: usize) {
    let problem = |description: String| -> RefOr<openapi::Response> {
        let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
        let response = ResponseBuilder::new().description(description);
        response.content("application/problem+json", content).build().into()
    };
    for item in document.paths.paths.values_mut() {
        for operation in [&mut item.get, &mut item.post].into_iter().flatten() {
            let responses = &mut operation.responses.responses;
            responses.entry("429".to_owned()).or_insert_with(|| {
                problem(
                    "Too many requests from this address; `Retry-After` and `RateLimit` say when to go on".to_owned(),
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
