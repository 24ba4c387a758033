"""The tasks, beside the models that they are about. With uwsgi_tasks they were called; here they are spooled."""

import time

from django.core import mail
from django.db import transaction
from django.utils import timezone

from aspool import Job
from my_project.apps.index.models import Order
from my_project.spooling import fresh_connections, spooler


# @task(executor=TaskExecutor.SPOOLER)
@spooler.task(retries=8)
def send_mail(subject: str, text: str, to: str) -> None:
    mail.send_mail(subject, text, "noreply@example.org", [to])


# @task(executor=TaskExecutor.SPOOLER, retry_count=3, retry_timeout=5)
@spooler.task(retries=2, backoff=lambda _: 5.0, harakiri=60)
@fresh_connections()
def process_purchase(job: Job, order_id: int) -> None:
    order = Order.objects.select_related("product").get(pk=order_id)
    if order.shipped_at is not None:
        return  # at least once: an earlier run was killed after it had shipped
    for number in range(order.quantity):
        job.progress(number, order.quantity, f"packing {order.product.name} {number + 1}")
        time.sleep(0.1)
    with transaction.atomic():
        order.shipped_at = timezone.now()
        order.save(update_fields=["shipped_at"])
        transaction.on_commit(lambda: tell_customer(order))


def tell_customer(order: Order) -> None:
    text = f"{order.quantity} x {order.product.name} are on their way."
    send_mail.using(id=f"shipped-{order.pk}").spool_sync("Your order", text, order.email)


def ship(order: Order) -> None:
    """Spool it under an id of its own, by which `progress` finds it."""
    process_purchase.using(id=f"order-{order.pk}").spool_sync(order.pk)
