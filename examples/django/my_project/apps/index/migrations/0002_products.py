"""Something to sell."""

from django.db import migrations

PRODUCTS = {"kettle": 10, "teapot": 3}


def add_products(apps, schema_editor):  # noqa: ARG001 - as Django calls it
    for name, stock in PRODUCTS.items():
        apps.get_model("index", "Product").objects.create(name=name, stock=stock)


class Migration(migrations.Migration):
    dependencies = (("index", "0001_initial"),)
    operations = (migrations.RunPython(add_products, migrations.RunPython.noop),)
