//! Whether two sets of times are told apart.

use std::fmt;

/// Where the samples are cropped, as shares of both classes together. A few
/// requests are held up by something else, and in the mean they outweigh the
/// rest: as in dudect, whatever is slower than a percentile is dropped from both
/// classes, which is fair as it is the same limit for both, and as nobody knows
/// which one is right, each is tried and the worst counts.
const CROPS: [f64; 6] = [0.5, 0.75, 0.9, 0.95, 0.99, 1.0];

/// Known addresses against unknown ones; times in microseconds.
pub(crate) struct Comparison {
    count: usize,
    known: f64,
    unknown: f64,
    /// Which crop told most.
    crop: f64,
    /// Between the means of what was left, known less unknown.
    difference: f64,
    /// Welch's t of what was left.
    pub t: f64,
}

/// Compares as many samples of either class.
pub(crate) fn compare(known: &[f64], unknown: &[f64]) -> Comparison {
    let all = sorted([known, unknown].concat());
    let cropped = CROPS.map(|crop| {
        let limit = all[(all.len() as f64 * crop) as usize - 1];
        let below = |samples: &[f64]| Moments::of(samples.iter().filter(|took| **took <= limit));
        let (known, unknown) = (below(known), below(unknown));
        (crop, known.mean - unknown.mean, welch(&known, &unknown))
    });
    let worst = cropped
        .into_iter()
        .max_by(|one, other| one.2.abs().total_cmp(&other.2.abs()));
    let (crop, difference, t) = worst.expect("a crop");
    Comparison {
        count: known.len(),
        known: median(known),
        unknown: median(unknown),
        crop,
        difference,
        t,
    }
}

struct Moments {
    count: f64,
    mean: f64,
    variance: f64,
}

impl Moments {
    fn of<'a>(samples: impl Iterator<Item = &'a f64> + Clone) -> Self {
        let count = samples.clone().count() as f64;
        let mean = samples.clone().sum::<f64>() / count;
        let squares = samples.map(|took| (took - mean).powi(2)).sum::<f64>();
        let variance = squares / (count - 1.0);
        Self {
            count,
            mean,
            variance,
        }
    }
}

/// Welch's t: the difference of the means in units of its own standard error,
/// for two classes that need not vary alike.
fn welch(one: &Moments, other: &Moments) -> f64 {
    let error = one.variance / one.count + other.variance / other.count;
    (one.mean - other.mean) / error.sqrt()
}

fn median(samples: &[f64]) -> f64 {
    sorted(samples.to_vec())[samples.len() / 2]
}

fn sorted(mut samples: Vec<f64>) -> Vec<f64> {
    samples.sort_by(f64::total_cmp);
    samples
}

impl Comparison {
    pub(crate) const HEADER: &str = "route           address           \
         rounds    median   unknown   crop  difference        t";
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            count,
            known,
            unknown,
            crop,
            difference,
            t,
        } = self;
        let crop = crop * 100.0;
        write!(
            f,
            "{count:>6} {known:>6.0} µs {unknown:>6.0} µs {crop:>5.0} % {difference:>+8.1} µs {t:>+8.1}"
        )
    }
}
