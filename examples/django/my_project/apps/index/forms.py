"""What a customer fills in."""

from django import forms

from my_project.apps.index.models import Order


class OrderForm(forms.ModelForm):
    class Meta:
        model = Order
        fields = ("product", "quantity", "email")
