"""What is for sale, and what was ordered."""

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models


class Product(models.Model):
    name = models.CharField(max_length=80)
    stock = models.PositiveIntegerField()

    def __str__(self) -> str:
        return self.name


class Order(models.Model):
    product = models.ForeignKey(Product, on_delete=models.PROTECT)
    quantity = models.PositiveIntegerField(default=1, validators=[MinValueValidator(1), MaxValueValidator(100)])
    email = models.EmailField()
    shipped_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.quantity} x {self.product}"
