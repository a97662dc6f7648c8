"""Contract prices are dated, tax is rounded half up per line, credit counts what the ERP does not know yet."""

from integration.domain.credit import exceeds_credit
from integration.domain.pricing import ContractPrice, base_quantity, line_tax_minor, price_in_force

OLD = ContractPrice(100, "GBP", 0, 50)
NEW = ContractPrice(120, "GBP", 50)
OFFER = ContractPrice(90, "GBP", 60, 70)


def test_the_price_in_force_ends_before_its_end_and_the_latest_begun_wins() -> None:
    prices = [OFFER, OLD, NEW]
    assert [price_in_force(prices, at) for at in (0, 49, 50, 60, 69, 70)] == [OLD, OLD, NEW, OFFER, OFFER, NEW]
    assert price_in_force(prices, -1) is None
    assert price_in_force([OLD], 50) is None


def test_tax_is_rounded_half_up() -> None:
    assert [line_tax_minor(net, 2000) for net in (0, 1, 2, 3, 1530)] == [0, 0, 0, 1, 306]
    assert line_tax_minor(25, 2000) == 5
    assert line_tax_minor(1, 5000) == 1


def test_units_convert_to_base_units() -> None:
    assert base_quantity(3, 12) == 36


def test_credit_may_be_used_up_but_not_passed() -> None:
    assert not exceeds_credit(1000, 400, 300, 300)
    assert exceeds_credit(1000, 400, 300, 301)
