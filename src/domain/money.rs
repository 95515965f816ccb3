//! Sums of money: exact, by currency, never in floating point.

use std::collections::BTreeMap;

use super::fact::data::Money;
use super::fact::values::Amount;

/// Sums by currency.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sums(BTreeMap<String, Decimal>);

/// `units` of ten to the power of minus `places`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
struct Decimal {
    units: i128,
    places: u32,
}

/// More decimals than any price has; what is beyond them is cut.
const PLACES_MAX: u32 = 12;

impl Decimal {
    fn of(amount: &Amount) -> Decimal {
        let text = amount.to_string();
        let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
        let part: String = part.chars().take(PLACES_MAX as usize).collect();
        // An amount's form is checked when it is read; one of more than 26 digits is no price.
        let units = format!("{whole}{part}").parse().unwrap_or(0);
        Decimal { units, places: part.len() as u32 }
    }

    fn with_places(self, places: u32) -> i128 {
        self.units.saturating_mul(10_i128.saturating_pow(places.saturating_sub(self.places)))
    }

    fn plus(self, other: Decimal) -> Decimal {
        let places = self.places.max(other.places);
        let units = self.with_places(places).saturating_add(other.with_places(places));
        Decimal { units, places }
    }
}

impl std::fmt::Display for Decimal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.units < 0 { "-" } else { "" };
        let digits = format!("{:0>width$}", self.units.unsigned_abs(), width = self.places as usize + 1);
        let (whole, part) = digits.split_at(digits.len() - self.places as usize);
        if part.is_empty() { write!(f, "{sign}{whole}") } else { write!(f, "{sign}{whole}.{part}") }
    }
}

impl<'m> Extend<&'m Money> for Sums {
    fn extend<I: IntoIterator<Item = &'m Money>>(&mut self, amounts: I) {
        for money in amounts {
            let sum = self.0.entry(money.currency.clone()).or_default();
            *sum = sum.plus(Decimal::of(&money.amount));
        }
    }
}

impl Sums {
    /// The part of every sum that `part` of `whole` stands for, to two decimals more, rounded down.
    pub fn share(&self, part: u64, whole: u64) -> Sums {
        let share = |sum: &Decimal| {
            let places = (sum.places + 2).min(PLACES_MAX.max(sum.places));
            let units = sum.with_places(places).saturating_mul(i128::from(part)) / i128::from(whole.max(1));
            Decimal { units, places }
        };
        Sums(self.0.iter().map(|(currency, sum)| (currency.clone(), share(sum))).collect())
    }

    /// Each currency with its sum as a decimal number.
    pub fn amounts(self) -> impl Iterator<Item = (String, String)> {
        self.0.into_iter().map(|(currency, sum)| (currency, sum.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(amount: &str) -> Money {
        Money { amount: Amount::try_from(amount.to_owned()).unwrap(), currency: "USD".into() }
    }

    fn shown(sums: Sums) -> String {
        sums.amounts().map(|(currency, amount)| format!("{amount} {currency}")).collect()
    }

    #[test]
    fn sums_and_shares_are_exact() {
        let mut sums = Sums::default();
        sums.extend(&[money("0.1"), money("0.02"), money("3")]);
        assert_eq!(shown(sums.clone()), "3.12 USD");
        assert_eq!(shown(sums.share(1, 3)), "1.0400 USD");
        assert_eq!(shown(sums.share(0, 3)), "0.0000 USD");
        let mut small = Sums::default();
        small.extend(&[money("0.000001"), money("0.000002")]);
        assert_eq!(shown(small), "0.000003 USD");
    }
}
