"""Handing alerts on to Alertmanager and to webhooks."""
