//! In whose words a refusal is said: those of the protocol that was spoken to.
//!
//! Layers refuse without knowing what they refuse: too many requests, a key that is wrong, a handler that takes too long.
//! They say it as a [`Problem`], which travels with its answer, and here its body becomes what clients of the path
//! understand. Status and headers stay.

use super::{Problem, alpaca::AlpacaError, udf::UdfError};
use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::Response,
};

/// How refusals are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `application/problem+json`.
    Native,
    /// Alpaca's market data API.
    Alpaca,
    /// TradingView's UDF.
    Udf,
}

impl Dialect {
    /// What is spoken at a path.
    pub(super) fn of(path: &str) -> Self {
        match path.split('/').nth(1) {
            Some("v2") => Self::Alpaca,
            Some("udf") => Self::Udf,
            _ => Self::Native,
        }
    }

    /// The same refusal in other words; an answer that is no refusal stays what it is.
    pub(super) fn translate(self, mut response: Response) -> Response {
        if self == Self::Native {
            return response;
        }
        let Some(problem) = response.extensions_mut().remove::<Problem>() else { return response };
        let body = match self {
            Self::Native => return response,
            Self::Alpaca => serde_json::to_vec(&AlpacaError::from(&problem)),
            Self::Udf => serde_json::to_vec(&UdfError::from(&problem)),
        };
        *response.body_mut() = Body::from(body.expect("strings and numbers always have a JSON form"));
        response.headers_mut().remove(header::CONTENT_LENGTH);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::{http::StatusCode, response::IntoResponse};

    #[test]
    fn the_path_tells_the_dialect() {
        for (path, dialect) in [
            ("/v2/stocks/bars", Dialect::Alpaca),
            ("/v2/iex", Dialect::Alpaca),
            ("/udf/history", Dialect::Udf),
            ("/udf", Dialect::Udf),
            ("/udfs", Dialect::Native),
            ("/api/v2/stocks", Dialect::Native),
            ("/", Dialect::Native),
        ] {
            assert_eq!(Dialect::of(path), dialect, "{path}");
        }
    }

    #[tokio::test]
    async fn a_refusal_keeps_its_status_and_headers_and_is_translated_once() {
        let refused = Problem::too_many_requests(7, "with this key", 3).into_response();
        let said = Dialect::Udf.translate(Dialect::Alpaca.translate(refused));
        assert_eq!(said.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(said.headers()[header::RETRY_AFTER], "3");
        let body = axum::body::to_bytes(said.into_body(), usize::MAX).await.unwrap();
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["code"], 42_910_000);
        assert!(body["message"].as_str().unwrap().contains("7 requests per second"), "{body}");
    }
}
