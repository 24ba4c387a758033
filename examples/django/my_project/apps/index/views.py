"""The pages: what is for sale, an order, and how far it is."""

from django.db import transaction
from django.db.models import F
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import aget_object_or_404, get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_safe

from my_project.apps.index.forms import OrderForm
from my_project.apps.index.models import Order, Product
from my_project.apps.index.tasks import process_purchase, ship


class SoldOut(Exception):
    pass


@require_http_methods(["GET", "POST"])
def shop(request: HttpRequest) -> HttpResponse:
    form = OrderForm(request.POST or None)
    if form.is_valid():
        try:
            return redirect("order", place(form).pk)
        except SoldOut:
            form.add_error("quantity", "there are not so many left")
    return render(request, "index/shop.html", {"form": form}, status=400 if form.errors else 200)


@transaction.atomic
def place(form: OrderForm) -> Order:
    """Either all of it is there: the order, the smaller stock, the task; or, if it raises, nothing is."""
    order: Order = form.save()
    transaction.on_commit(lambda: ship(order))
    enough = Product.objects.filter(pk=order.product_id, stock__gte=order.quantity)
    if not enough.update(stock=F("stock") - order.quantity):
        raise SoldOut
    return order


@require_safe
def show(request: HttpRequest, order_id: int) -> HttpResponse:
    return render(request, "index/order.html", {"order": get_object_or_404(Order, pk=order_id)})


@require_safe
async def progress(request: HttpRequest, order_id: int) -> JsonResponse:  # noqa: ARG001 - as Django calls it
    order = await aget_object_or_404(Order, pk=order_id)
    if order.shipped_at is not None:
        return JsonResponse({"state": "shipped", "done": order.quantity, "text": ""})
    ticket = process_purchase.ticket(f"order-{order_id}")
    made = await ticket.progress()
    return JsonResponse({
        "state": await ticket.status(),
        "done": made.done if made else 0,
        "text": made.text if made else "",
    })  # fmt: skip
