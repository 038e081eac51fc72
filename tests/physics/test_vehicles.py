"""The table of cars."""

from gridfleet.devices.physics.vehicle_models import VehicleModel, vehicle_models


def test_the_original_systems_three_examples_are_there() -> None:
    models = {model.model: model for model in vehicle_models()}
    assert models["Tesla Model 3 RWD"] == VehicleModel("Tesla Model 3 RWD", 137.0, 57_000, 108_000)
    assert models["Fiat 500e 42 kWh"] == VehicleModel("Fiat 500e 42 kWh", 159.0, 42_000, 85_000)
    assert models["Lucid Air Touring"] == VehicleModel("Lucid Air Touring", 159.0, 112_000, 300_000)


def test_at_least_26_models_that_differ_and_are_plausible() -> None:
    models = vehicle_models()
    assert len({model.model for model in models}) == len(models) >= 26
    for model in models:
        assert 120 <= model.consumption_wh_per_km <= 260
        assert 25_000 <= model.capacity_wh <= 120_000
        assert 25_000 <= model.charge_power_w <= 300_000


def test_it_is_read_once() -> None:
    assert vehicle_models() is vehicle_models()
