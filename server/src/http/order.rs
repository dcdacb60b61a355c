//! What all orders share: how their bodies are read, and how they can be refused.

use super::Problem;
use axum::{
    body::Bytes,
    http::{HeaderMap, StatusCode, header},
};
use serde::{
    Deserialize, Deserializer,
    de::{self, DeserializeOwned},
};
use std::collections::BTreeMap;
use utoipa::{
    IntoResponses,
    openapi::{self, RefOr},
};

/// The JSON of a body; without one, what is meant by nothing.
///
/// # Errors
/// 415 when the body is no JSON by its header, 400 when it is not what is expected.
pub(super) fn read_body<T: DeserializeOwned + Default>(headers: &HeaderMap, body: &Bytes) -> Result<T, Problem> {
    if body.is_empty() {
        return Ok(T::default());
    }
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    // A form of another page can send text, but not this without asking first.
    if kind.split(';').next().unwrap_or_default().trim() != "application/json" {
        return Err(Problem::new(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Unsupported media type",
            "The body must be JSON: send Content-Type: application/json, or no body at all.",
        ));
    }
    // As an object first: serde would also read a list as the fields in their order.
    serde_json::from_slice::<Option<serde_json::Map<_, _>>>(body)
        .and_then(|members| serde_json::from_value(members.unwrap_or_default().into()))
        .map_err(|error| Problem::invalid_parameter("body", &error.to_string()))
}

/// A whole number as JSON Schema understands it, for which 3.0 is one too.
///
/// # Errors
/// It is no whole number, or does not fit.
pub(super) fn whole<'de, D: Deserializer<'de>>(value: D) -> Result<Option<i32>, D::Error> {
    let Some(number) = Option::<serde_json::Number>::deserialize(value)? else { return Ok(None) };
    let whole =
        number.as_i64().or_else(|| number.as_f64().filter(|float| float.fract() == 0.0).map(|float| float as i64));
    let fits = whole.and_then(|whole| i32::try_from(whole).ok());
    fits.map(Some).ok_or_else(|| de::Error::custom(format!("{number} is not a whole number of 32 bits")))
}

/// How a request that changes something can be refused.
pub enum OrderRefusals {}

impl IntoResponses for OrderRefusals {
    fn responses() -> BTreeMap<String, RefOr<openapi::Response>> {
        let problem = |description: &str| {
            let schema = openapi::Ref::from_schema_name("Problem");
            let content = openapi::ContentBuilder::new().schema(Some(schema)).build();
            let response = openapi::ResponseBuilder::new().description(description);
            response.content("application/problem+json", content).build().into()
        };
        BTreeMap::from([
            ("400".to_owned(), problem("The body is not what is expected")),
            ("401".to_owned(), problem("No token, or not the right one")),
            ("403".to_owned(), problem("Control is off, or the request comes from a page of another origin")),
            ("404".to_owned(), problem("There is no such order, or this process does not have what it is about")),
            ("415".to_owned(), problem("The body is not JSON")),
            ("503".to_owned(), problem("The attempt cannot be recorded, and is not carried out")),
        ])
    }
}
