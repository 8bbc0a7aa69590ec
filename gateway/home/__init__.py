"""The home screen: feed and story tray in one field."""
