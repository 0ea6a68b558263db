//! A resource that exists already counts as created.

use aws_sdk_sesv2::error::ProvideErrorMetadata;

/// Turns the error with this code, which means that the resource exists, into success.
///
/// # Errors
/// Any other error.
pub(crate) fn ok_if_exists<T, E: ProvideErrorMetadata>(
    created: Result<T, E>,
    code: &str,
) -> Result<(), E> {
    match created {
        Err(error) if error.code() != Some(code) => Err(error),
        _ => Ok(()),
    }
}
