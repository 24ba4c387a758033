"""Which view answers which path."""

from django.urls import path

from my_project.apps.index import views

urlpatterns = [
    path("", views.shop, name="shop"),
    path("orders/<int:order_id>", views.show, name="order"),
    path("orders/<int:order_id>/progress", views.progress, name="progress"),
]
