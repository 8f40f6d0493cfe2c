import django.db.models.deletion
from django.db import migrations, models

NUMBERS = ("tick_size", "step_size", "min_qty", "min_notional", "liquidation_fee_rate")


def date_the_filters(apps, schema_editor):
    """Each instrument's one set of filters becomes the set of the day that it names."""
    FilterSet = apps.get_model("marketdata", "FilterSet")
    for row in apps.get_model("marketdata", "Instrument").objects.all():
        numbers = {name: getattr(row, name) for name in NUMBERS}
        FilterSet.objects.create(instrument=row, valid_from=row.rules_as_of, source=row.rules_source, **numbers)


class Migration(migrations.Migration):
    dependencies = [("marketdata", "0001_initial")]

    operations = [
        migrations.CreateModel(
            name="FilterSet",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("valid_from", models.DateField(help_text="The day from which they are known to hold.")),
                ("source", models.CharField(max_length=200)),
                ("tick_size", models.FloatField()),
                ("step_size", models.FloatField()),
                ("min_qty", models.FloatField()),
                ("min_notional", models.FloatField()),
                ("liquidation_fee_rate", models.FloatField(default=0.0)),
                (
                    "instrument",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="filter_sets",
                        to="marketdata.instrument",
                    ),
                ),
            ],
            options={
                "ordering": ["instrument", "-valid_from"],
                "constraints": [
                    models.UniqueConstraint(fields=("instrument", "valid_from"), name="marketdata_filter_set_unique"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("liquidation_fee_rate__gte", 0),
                            ("min_notional__gte", 0),
                            ("min_qty__gte", 0),
                            ("step_size__gt", 0),
                            ("tick_size__gt", 0),
                        ),
                        name="marketdata_filter_set_positive",
                    ),
                ],
            },
        ),
        migrations.RunPython(date_the_filters),
        migrations.RemoveConstraint(model_name="instrument", name="marketdata_instrument_filters_positive"),
        *(
            migrations.RemoveField(model_name="instrument", name=name)
            for name in (*NUMBERS, "rules_as_of", "rules_source")
        ),
    ]
