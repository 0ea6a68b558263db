//! What others rely on: the outputs by name, the parameters by description.

use crate::template::Template;
use crate::{assert_kept, assert_noticed};

const OUTPUTS: [&str; 26] = [
    "ApiUrl",
    "TableName",
    "UploadsBucketName",
    "MailQueueUrl",
    "BulkMailQueueUrl",
    "ImportQueueUrl",
    "ChunkQueueUrl",
    "MailDeadLetterQueueUrl",
    "BulkMailDeadLetterQueueUrl",
    "ImportDeadLetterQueueUrl",
    "ChunkDeadLetterQueueUrl",
    "UserPoolId",
    "MachineClientId",
    "ReaderClientId",
    "TokenUrl",
    "ApiId",
    "ApiFunctionName",
    "MailerFunctionName",
    "ImportPlannerFunctionName",
    "ImportWorkerFunctionName",
    "OperationsFunctionName",
    "DetailsFunctionName",
    "FeedbackFunctionName",
    "FeedbackQueueUrl",
    "FeedbackDeadLetterQueueUrl",
    "ConfigurationSetName",
];

/// Scripts and the local stack read these.
fn outputs_are_there(template: &Template) -> Vec<String> {
    OUTPUTS
        .iter()
        .filter(|output| {
            !template
                .section("Outputs")
                .any(|(name, _)| name == **output)
        })
        .map(|output| format!("there is no output {output}"))
        .collect()
}

/// A parameter says what it is for.
fn parameters_are_described(template: &Template) -> Vec<String> {
    template
        .section("Parameters")
        .filter(|(_, body)| body["Description"].as_str().is_none_or(str::is_empty))
        .map(|(name, _)| format!("{name} has no Description"))
        .collect()
}

#[test]
fn the_outputs_that_others_read_are_there() {
    assert_kept(outputs_are_there);
    assert_noticed(
        outputs_are_there,
        &[("Outputs/TableName", ""), ("Outputs/TokenUrl", "")],
    );
}

#[test]
fn every_parameter_is_described() {
    assert_kept(parameters_are_described);
    assert_noticed(
        parameters_are_described,
        &[("Parameters/SenderAddress/Description", "")],
    );
}
