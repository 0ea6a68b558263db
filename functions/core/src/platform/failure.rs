//! What an AWS error means to whoever made the call.

use std::error::Error;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use crate::platform::causes::Causes;

/// Error codes that say "not now" without being a 5xx.
const THROTTLES: &[&str] = &[
    "LimitExceededException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "SlowDown",
    "Throttling",
    "ThrottlingException",
    "TooManyRequestsException",
    "TransactionConflictException",
    "TransactionInProgressException",
];

/// A call to AWS that did not do what it was asked.
///
/// The variant says what to do about it; the source says what happened.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It may work later: throttled, out of service, or no answer came. If no
    /// answer came, it may have worked already.
    #[error("{operation}: unavailable: {}", Causes(.source.as_ref()))]
    Unavailable {
        /// Which call.
        operation: &'static str,
        /// What the SDK said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// It will never work: refused, forbidden, no such thing, or an item that
    /// cannot be understood.
    #[error("{operation}: permanent failure: {}", Causes(.source.as_ref()))]
    Permanent {
        /// Which call.
        operation: &'static str,
        /// What the SDK said.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl Failure {
    /// Reads the SDK's error for what it means.
    pub fn of<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let unavailable = match &error {
            SdkError::ServiceError(context) => {
                let status = context.raw().status();
                // A success that cannot be read is an answer that did not come.
                status.is_server_error()
                    || status.is_success()
                    || context
                        .err()
                        .code()
                        .is_some_and(|code| THROTTLES.contains(&code))
            }
            SdkError::ConstructionFailure(_) => false,
            _ => true,
        };
        let source = Box::new(error);
        if unavailable {
            Self::Unavailable { operation, source }
        } else {
            Self::Permanent { operation, source }
        }
    }

    /// A stored thing that this version cannot understand.
    pub fn unreadable(
        operation: &'static str,
        source: impl Into<Box<dyn Error + Send + Sync>>,
    ) -> Self {
        Self::Permanent {
            operation,
            source: source.into(),
        }
    }

    /// Whether trying again later can help.
    pub const fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}
