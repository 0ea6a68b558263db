//! What the handlers work with.

use std::sync::Arc;

use muster_core::platform::aws::SdkConfig;
use muster_core::platform::random::Random;
use muster_core::platform::table::Table;
use muster_core::platform::time::Clock;
use muster_http::secrets::{KeptSecret, SecretStore};
use muster_imports::object::s3_client;

use crate::confirmation::service::Confirmations;
use crate::cross_site::Site;
use crate::edge::Edge;
use crate::imports::transitions::Importing;
use crate::imports::upload_form::Uploads;
use crate::pagination::Listing;
use crate::profiles::create::Registry;
use crate::profiles::reactivate::Reactivations;
use crate::profiles::resend::Resends;
use crate::profiles::update::Changes;
use crate::queue::Nudges;
use crate::settings::Settings;
use crate::signup::captcha::Captcha;
use crate::signup::captcha_proof::Proofs;
use crate::signup::rate_limits::Rates;
use crate::signup::service::Signups;

/// What the handlers work with.
pub struct Services {
    /// Reads.
    pub table: Table,
    /// Takes sign-ups and resends.
    pub signups: Signups,
    /// What stands in front of the API, if something does.
    pub edge: Option<Arc<Edge>>,
    /// Where the pages are.
    pub site: Arc<Site>,
    /// Confirms addresses.
    pub confirmations: Confirmations,
    /// Stores new profiles.
    pub registry: Registry,
    /// Changes profiles.
    pub changes: Changes,
    /// Writes mails again.
    pub resends: Resends,
    /// Has mail go to addresses again.
    pub reactivations: Arc<Reactivations>,
    /// Moves imports.
    pub importing: Importing,
    /// Signs the addresses of reports.
    pub s3: aws_sdk_s3::Client,
    /// The time.
    pub clock: Clock,
    /// Chance.
    pub random: Random,
}

/// What a handler is given.
pub type Shared = axum::extract::State<Arc<Services>>;

impl Services {
    /// Services over these clients.
    ///
    /// # Errors
    /// When there is a captcha and no TLS to verify it by.
    pub fn new(
        settings: &Settings,
        config: &SdkConfig,
        clock: Clock,
        random: Random,
    ) -> Result<Self, rustls::Error> {
        let table = Table::new(
            aws_sdk_dynamodb::Client::new(config),
            settings.table.clone(),
        );
        let sqs = aws_sdk_sqs::Client::new(config);
        let nudges = Nudges::new(
            sqs,
            settings.mail_queue_url.clone(),
            settings.import_queue_url.clone(),
        );
        let uploads = Uploads::new(
            settings.aws.clone(),
            settings.uploads_bucket.clone(),
            settings.max_file_bytes,
        );
        let rates = Rates::new(
            table.clone(),
            clock.clone(),
            random.clone(),
            settings.limits,
        );
        let rates = Arc::new(rates);
        // A client of Secrets Manager only where there is a secret.
        let secret = |name: String| KeptSecret::new(SecretStore::new(config), name, clock.clone());
        let captcha = settings.captcha.clone();
        let captcha = captcha.map(|captcha| Captcha::new(captcha.url, secret(captcha.secret_name)));
        let edge = settings.edge.clone();
        let edge = edge.map(|edge| Edge::new(edge.address_header, secret(edge.secret_name)));
        let ses = aws_sdk_sesv2::Client::new(config);
        let reactivations = Reactivations::new(table.clone(), ses, clock.clone(), random.clone());
        let reactivations = Arc::new(reactivations);
        Ok(Self {
            edge: edge.map(Arc::new),
            site: Arc::new(settings.site.clone()),
            signups: Signups::new(
                table.clone(),
                nudges.clone(),
                rates.clone(),
                Proofs::new(captcha.transpose()?, table.clone()),
                clock.clone(),
                random.clone(),
            ),
            confirmations: Confirmations::new(
                table.clone(),
                rates,
                reactivations.clone(),
                clock.clone(),
                random.clone(),
            ),
            reactivations,
            registry: Registry::new(table.clone(), nudges.clone(), clock.clone(), random.clone()),
            changes: Changes::new(table.clone(), nudges.clone(), clock.clone(), random.clone()),
            resends: Resends::new(table.clone(), nudges.clone(), clock.clone(), random.clone()),
            importing: Importing::new(
                table.clone(),
                nudges,
                uploads,
                clock.clone(),
                random.clone(),
            ),
            s3: s3_client(&settings.aws, config),
            table,
            clock,
            random,
        })
    }
}

impl Services {
    /// Lists, newest first.
    pub const fn listing(&self) -> Listing<'_> {
        Listing {
            table: &self.table,
            clock: &self.clock,
        }
    }
}
