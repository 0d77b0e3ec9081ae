//! The output: one line for each case, and one for each number that stands alone.

use std::fmt;

pub(crate) const HEAD: &str = "\
CPU time per request, TLS 1.3 and keep-alive HTTP/1.1
case                    serve    constant   ratio   (quartiles)    aim";

/// The rounds of one case.
pub(crate) struct Row {
    name: &'static str,
    aim: f64,
    ours: Vec<f64>,
    theirs: Vec<f64>,
}

impl Row {
    pub(crate) fn new(name: &'static str, aim: f64) -> Self {
        Self { name, aim, ours: Vec::new(), theirs: Vec::new() }
    }

    pub(crate) fn push(&mut self, ours: f64, theirs: f64) {
        self.ours.push(ours);
        self.theirs.push(theirs);
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ratios: Vec<f64> = self.ours.iter().zip(&self.theirs).map(|(ours, theirs)| ours / theirs).collect();
        let quartile = |n| quantile(ratios.clone(), n, 4);
        write!(
            f,
            "{:<20} {:>6.0} µs   {:>6.0} µs    {:.2}   ({:.2}–{:.2})   ≤ {:.1}  {}",
            self.name,
            median(self.ours.clone()),
            median(self.theirs.clone()),
            quartile(2),
            quartile(1),
            quartile(3),
            self.aim,
            verdict(quartile(2), self.aim),
        )
    }
}

/// Prints a number that stands alone.
pub(crate) fn line(name: &str, number: f64, unit: &str, aim: f64) {
    let aim = if aim.is_finite() { format!("≤ {aim:.0}  {}", verdict(number, aim)) } else { String::new() };
    println!("{name:<50} {number:>6.1} {unit:<3}   {aim}");
}

fn verdict(number: f64, aim: f64) -> &'static str {
    if number <= aim { "reached" } else { "NOT REACHED" }
}

pub(crate) fn median(numbers: Vec<f64>) -> f64 {
    quantile(numbers, 1, 2)
}

fn quantile(mut numbers: Vec<f64>, n: usize, of: usize) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers[(numbers.len() - 1) * n / of]
}
