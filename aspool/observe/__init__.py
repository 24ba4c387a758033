"""What others see of a running aspool: logs, metrics, health over HTTP, systemd's notifications. It decides nothing."""
